"""The targets of the serving benchmark, and how the result is shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import picture, table
from benchmarks.serving.systems import RIVALS
from benchmarks.serving.verdict import verdict
from tests.benchmarks.bench_samples import row


def _rows(ours: float, rival: float = 1000.0, same_work: float = 1000.0, p99: float = 20.0) -> list[dict[str, Any]]:
    return [
        row("plumbline", "64 clients", ours),
        row("plumbline", "463/s", 463.0, p99_ms=p99),
        row("plumbline", "batch 64, 1 client", 100.0, postings_per_second=6000.0),
        row("fastapi-same-work", "64 clients", same_work),
        *(row(name, "64 clients", rival / 2) for name in RIVALS[1:]),
        row(RIVALS[0], "16 clients", rival),
    ]


def test_all_targets_are_met() -> None:
    found = verdict(_rows(2000.0), limit=12_000.0)
    assert found["met"]
    over = found["targets"]["goodput_over_rivals"]
    assert over["ratio"] == 2.0
    assert over["by_load"] == {"64 clients": 4.0, "463/s": None}
    assert found["targets"]["batch_share_of_limit"]["ratio"] == 0.5


@pytest.mark.parametrize(
    ("rows", "limit", "missed"),
    [
        (_rows(1990.0), 10_000.0, "goodput_over_rivals"),
        (_rows(2000.0, same_work=2200.0), 10_000.0, "level_with_same_work"),
        (_rows(2000.0, p99=50.0), 10_000.0, "promised_rate"),
        (_rows(2000.0), 12_100.0, "batch_share_of_limit"),
    ],
)
def test_one_target_is_missed(rows: list[dict[str, Any]], limit: float, missed: str) -> None:
    found = verdict(rows, limit)
    assert not found["met"]
    assert [name for name, target in found["targets"].items() if not target["met"]] == [missed]


def test_the_best_option_of_a_rival_counts() -> None:
    rows = [*_rows(2000.0), row("litserve-8-10ms-fast", "64 clients", 1600.0), row("ray-serve-switches", "463/s", 9e9)]
    over = verdict(rows, 10_000.0)["targets"]["goodput_over_rivals"]
    assert over["ratio"] == 1.25
    assert over["by_load"]["64 clients"] == 1.25


def test_an_error_at_the_promised_rate_misses_it() -> None:
    rows = _rows(2000.0)
    rows[1]["errors"] = 1
    assert not verdict(rows, 10_000.0)["targets"]["promised_rate"]["met"]


def test_what_was_not_measured_is_not_met() -> None:
    rows = [one for one in _rows(9000.0) if one["system"] != "bentoml"]
    found = verdict(rows, limit=None)
    assert found["targets"]["goodput_over_rivals"]["measured"] == "not measured: bentoml"
    assert not found["targets"]["goodput_over_rivals"]["met"]
    assert not found["targets"]["batch_share_of_limit"]["met"]
    assert not any(target["met"] for target in verdict([], None)["targets"].values())


def _result() -> dict[str, Any]:
    rows = _rows(2000.0)
    names = dict.fromkeys(one["system"] for one in rows)
    return {
        "rows": rows,
        "systems": [
            {"name": name, "title": name.title(), "work": "model only", "start_seconds": 1.0, "stop_seconds": 0.5,
             "rest_mb": 100.0, "processes": 1, "failure": "it died" if name == "mlflow" else None}
            for name in names
        ],
        "machine": {"processors": 2, "processor": "any", "memory_gb": 4.0, "system": "Linux", "python": "3.11"},
        "versions": {"torch": "2"}, "repeats": 1, "seconds": 1.0, "warm_up": 1.0, "posting_bytes": 770.0,
        "started": "2026-01-01T00:00:00+00:00", "limit": {"batch": 64, "threads": 1, "rps": 12_000.0},
        "verdict": verdict(rows, 12_000.0),
    }  # fmt: skip


def test_tables_show_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    path = tmp_path / "serving.json"
    path.write_text(json.dumps(_result()))
    monkeypatch.setattr(sys, "argv", ["table", str(path)])
    table.main()
    shown = capsys.readouterr().out
    assert "| Plumbline | 2,000 | 463 | – |" in shown
    assert "| Litserve | – | – | 1,000 |" in shown
    assert "| batch 64, 1 client | 6,000 |" in shown
    assert "| in process, batch 64, threads 1 | 12,000 |" in shown
    assert "given up: it died" in shown


def test_a_file_that_is_no_result_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "argv", ["table", str(tmp_path / "absent.json")])
    with pytest.raises(SystemExit) as ended:
        table.main()
    assert ended.value.code == 2
    assert "is not a result of `make bench-serving`" in capsys.readouterr().err


def test_the_picture_has_a_line_per_system(tmp_path: Path) -> None:
    picture.draw(_result(), tmp_path / "serving.svg")
    drawn = (tmp_path / "serving.svg").read_text()
    assert drawn.count("<svg") == 1
    picture.draw({"rows": [], "systems": []}, tmp_path / "empty.svg")
    assert not (tmp_path / "empty.svg").exists()
