"""A model of the user's own goes through the whole pipeline, registry and monitors' reference, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Line

from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import SettingsError
from plumbline.model.protocol import import_trainer, load_model
from plumbline.registry.audit import AuditLog
from plumbline.registry.models import ModelRegistry
from plumbline.settings import load_settings
from plumbline.storage import open_store


@pytest.mark.slow
def test_the_pipeline_trains_and_registers_it_and_a_person_promotes_it_though_it_is_slow(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = SnapshotStore(open_store(line.settings)).read(line.snapshot_id)
    settings = load_settings(home=tmp_path / "home")
    snapshot = SnapshotStore(open_store(settings)).write(frame, source={"kind": "generator"})
    monkeypatch.setenv("PLUMBLINE_MODEL__TRAINER", "own_model:train")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    own = Line(settings, snapshot.id)
    own.measure("2026-03-30T00:00:00+00:00")
    # No model is that quick: all that is wrong with this one is its processor time.
    answer = own.train("2026-03-30T00:00:00+00:00", "--set", "pipelines.gate.max_processor_ms=0.000001")
    assert answer["gate"]["verdict"] == "review", answer["gate"]["reasons"]
    assert answer["promoted"] is False
    registry = ModelRegistry(settings)
    assert registry.version_of("challenger") == answer["model_version"]
    assert registry.version_of("champion") is None
    assert [entry.what for entry in AuditLog(settings).read()] == ["register", "review"]
    registry.promote(answer["model_version"], "Its answers are worth it.")
    champion = load_model(registry.fetch("champion").path)
    assert champion.metadata == {"kind": "naive Bayes"}
    assert champion.predict_proba([{"title": "Software developer", "description": ""}]).shape == (
        1,
        len(champion.labels),
    )


@pytest.mark.parametrize("path", ["no_such_module:train", "plumbline.model.train:no_such_function"])
def test_a_trainer_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(SettingsError, match=r"model\.trainer"):
        import_trainer(path)
