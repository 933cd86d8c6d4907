"""The command of the serving benchmark: what is chosen, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serving import __main__ as command
from benchmarks.serving import systems
from benchmarks.serving.systems import select_systems
from plumbline.errors import MissingInputError, PlumblineError, UserError
from tests.benchmarks.bench_samples import row


def test_answers_that_are_not_logged_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "prediction_log", lambda _: {"count": 1099, "degraded": 2})
    single = row("plumbline", "16 clients", 500.0, errors=900, postings_per_request=1)
    batch = row("plumbline", "batch 64, 1 client", 10.0, sent=20, errors=5, postings_per_request=64)
    others = row("litserve", "16 clients", 9.0, postings_per_request=1)
    logged = command.require_logged([single, batch, others], tmp_path)
    assert logged == {"answered": 1060, "count": 1099, "degraded": 2}
    monkeypatch.setattr(command, "prediction_log", lambda _: {"count": 1059, "degraded": 0})
    with pytest.raises(PlumblineError, match="1060 postings were answered and 1059 logged"):
        command.require_logged([single, batch], tmp_path)


def test_systems_are_chosen_by_pattern() -> None:
    assert [system.name for system in select_systems(["plumb*"])] == ["plumbline"]
    with pytest.raises(UserError, match="No system is named 'torchserve'"):
        select_systems(["torchserve"])


def test_a_missing_environment_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(systems, "BENCH_VENV", tmp_path / "absent" / "bin")
    assert select_systems(["fastapi*"])
    with pytest.raises(MissingInputError, match="bentoml: there is no"):
        select_systems(["bentoml"])
