"""`plumbline serve tune`: the rule, the search, the measuring, the whole command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from plumbline import paths
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import GateRefusedError, MissingInputError, SettingsError, UserError
from plumbline.model.train import train
from plumbline.registry.models import MODEL_FOLDER, TAG_VERDICT, ModelRegistry
from plumbline.registry.tracking import configure
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.cli import serve_app
from serving.tuning.measure import BatchTimes, measure
from serving.tuning.search import LARGEST, Rule, largest_batch


def _times(size: int, p99: float) -> BatchTimes:
    return BatchTimes(size, 100, 0.0, p99, p99, p99, p99, 1000 * size / p99, 0.5)


def test_a_query_waits_for_each_models_batch_and_its_own() -> None:
    assert Rule(50, 20, 5, models=1).allowed_ms() == 12.5
    assert Rule(50, 20, 5, models=4).allowed_ms() == 5.0


def test_a_budget_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="leaves nothing"):
        Rule(25, 20, 5, models=1).allowed_ms()


@pytest.mark.parametrize(("allowed", "largest"), [(1.0, 1), (12.5, 12), (100.0, 96), (33.0, 32), (2000.0, LARGEST)])
def test_the_largest_size_that_fits_within_a_few_measurements(allowed: float, largest: int) -> None:
    size, table = largest_batch(lambda size: _times(size, float(size)), allowed)
    assert size == largest
    assert size <= allowed
    assert [row.batch_size for row in table] == sorted({row.batch_size for row in table})
    assert len(table) <= 15


def test_a_posting_that_takes_longer_than_the_budget() -> None:
    with pytest.raises(GateRefusedError, match="One posting takes 40"):
        largest_batch(lambda size: _times(size, 40.0 * size), 12.5)


class _Slow:
    """Takes 2 ms to encode a batch and 3 ms to score it, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.batches: list[list[Any]] = []

    def encode(self, records: list[Any]) -> list[Any]:
        self.now += 0.002
        self.batches.append(records)
        return records

    def forward(self, batch: list[Any]) -> None:
        self.now += 0.003


def test_times_are_those_of_whole_batches() -> None:
    model = _Slow()
    times = measure(model, [{"title": str(k)} for k in range(7)], 4, seconds=1.0, clock=lambda: model.now)  # type: ignore[arg-type]
    assert times.repeats == 200
    assert times.p50_ms == pytest.approx(5.0)
    assert times.p99_ms == pytest.approx(5.0)
    assert (times.encode_p50_ms, times.forward_p50_ms) == pytest.approx((2.0, 3.0))
    assert times.postings_per_second == pytest.approx(800.0)
    assert {len(batch) for batch in model.batches} == {4}
    assert {record["title"] for batch in model.batches for record in batch} == {str(k) for k in range(7)}


def test_a_percentile_needs_repeats_however_short_the_time() -> None:
    model = _Slow()
    assert measure(model, [{}], 1, seconds=0.0, clock=lambda: model.now).repeats == 100  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot, and a champion on its text alone."""
    settings = load_settings(home=tmp_path_factory.mktemp("home"))
    postings = pd.concat(list(generate(GeneratorConfig(rows=300, weeks=4, companies=20))), ignore_index=True)
    SnapshotStore(open_store(settings)).write(postings, source={"kind": "generator"})
    _register(settings, postings[postings["label"].notna()])
    return settings.home


def _register(settings: Settings, rows: pd.DataFrame) -> None:
    config = settings.model.model_copy(update={"epochs": 1, "refit": False, "deep_dim": 0})
    result = train(rows, rows[:0], feature_specs=[], label_terms=None, config=config)
    tracking = configure(settings)
    run = tracking.client.create_run(tracking.experiment_id)
    root = paths.tracking_dir(settings) / "test-models" / run.info.run_id
    result.model.save(root / "artifacts" / MODEL_FOLDER)
    registry = ModelRegistry(settings, tracking)
    version = registry.register(run.info.run_id, model_id="", artifact_uri=root.as_uri(), tags={TAG_VERDICT: "promote"})
    registry.promote(version, "a test wants it served")


def _one_ms_per_posting(model: Any, records: Any, batch_size: int, *, seconds: float) -> BatchTimes:
    """The real model answers; how long it takes on a busy machine must not decide a test."""
    assert len(model.predict_proba(records[:batch_size])) == min(batch_size, len(records))
    return _times(batch_size, float(batch_size))


def _run(monkeypatch: pytest.MonkeyPatch, home: Path, config: Path | None, *arguments: str) -> Any:
    monkeypatch.setenv("PLUMBLINE_HOME", str(home))
    if config is not None:
        monkeypatch.setenv("PLUMBLINE_CONFIG", str(config))
    monkeypatch.setattr("serving.tuning.run.measure", _one_ms_per_posting)
    return CliRunner().invoke(serve_app, ["tune", "--seconds", "0", "--json", *arguments])


def test_the_command_measures_and_writes_to_the_configuration(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "plumbline.yaml"
    config.write_text("# ours\nserving:\n  port: 8100 # taken: 8000\n")
    picture = tmp_path / "pictures" / "tune.svg"
    result = _run(monkeypatch, home, config, "--budget-ms", "40", "--picture", str(picture))
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    written = yaml.safe_load(config.read_text())
    assert written == {"serving": {"port": 8100, "max_batch_size": answer["max_batch_size"]}}
    assert config.read_text().startswith("# ours\n")
    assert "port: 8100 # taken: 8000" in config.read_text()
    assert "# plumbline serve tune: " in config.read_text()
    assert answer["allowed_batch_p99_ms"] == 7.5
    chosen = next(row for row in answer["batches"] if row["batch_size"] == answer["max_batch_size"])
    assert chosen["fits"]
    assert [row["batch_size"] for row in answer["batches"] if row["fits"]] == [1, 2, 4, 6, 7]
    assert answer["version"] == "1"
    assert answer["busy"]
    assert "other work held the measuring up" in result.stderr
    assert "the machine was busy" in config.read_text()
    assert "+  max_batch_size" in answer["diff"]
    assert picture.read_text().startswith("<?xml")
    assert load_settings().serving.max_batch_size == answer["max_batch_size"]


def test_without_a_file_nothing_is_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = _run(monkeypatch, home, None, "--budget-ms", "27")
    answer = json.loads(result.stdout)
    assert answer["file"] is None
    assert answer["max_batch_size"] == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--budget-ms", "10"], UserError),
        (["--budget-ms", "25.02"], GateRefusedError),
        (["--version", "77"], MissingInputError),
        (["--snapshot", "00000000"], MissingInputError),
    ],
)
def test_what_cannot_be_tuned_says_why_and_writes_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: type[Exception]
) -> None:
    config = tmp_path / "plumbline.yaml"
    config.write_text("home: /nowhere\n")
    result = _run(monkeypatch, home, config, *arguments)
    assert isinstance(result.exception, error)
    assert config.read_text() == "home: /nowhere\n"


def test_a_file_that_cannot_be_changed_is_told_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "list.yaml"
    out.write_text("- a list\n")
    result = _run(monkeypatch, home, None, "--out", str(out))
    assert isinstance(result.exception, SettingsError)
