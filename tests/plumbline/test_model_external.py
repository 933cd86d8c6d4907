"""`plumbline models evaluate` on a file, as its own process, with features over snapshot and file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import model_postings as small
import pandas as pd
import pytest

from plumbline.cli.models_evaluate import _print
from plumbline.data.contract import POSTING_COLUMNS
from plumbline.data.frames import from_records
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError, SettingsError
from plumbline.features.schema import FeatureSpec
from plumbline.model.class_names import write_class_names
from plumbline.model.external import read_file, with_features
from plumbline.model.split import SEEN_BEFORE
from plumbline.settings import Settings
from plumbline.storage import open_store

MAPPING = """
version: 1
name: small
fields:
  posting_id: posting_id
  event_timestamp: {column: event_timestamp, format: iso}
  company: company
  board: board
  title: title
  description: description
  language: language
  label: {column: label, delay_days: 7}
ignored: [label_timestamp, company_postings_7d, board_top_label]
"""


def _contract(frame: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in POSTING_COLUMNS if name in frame.columns]
    return from_records(frame[columns].astype(object).where(frame[columns].notna(), None).to_dict("records"))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The last hundred of five hundred postings, one of them without a title, and the mapping."""
    late = small.stream(500).iloc[400:].copy()
    late["event_timestamp"] = late["event_timestamp"].map(lambda time: time.isoformat())
    late.iloc[0, late.columns.get_loc("title")] = ""
    late.to_csv(tmp_path / "late.csv", index=False)
    (tmp_path / "small.yaml").write_text(MAPPING)
    return tmp_path / "late.csv", tmp_path / "small.yaml"


def test_features_are_those_of_the_whole_log(settings: Settings, files: tuple[Path, Path]) -> None:
    admission = read_file(settings, *files)
    log = _contract(small.stream(400))
    specs = [FeatureSpec(name="company_postings_28d", kind="numeric", default=0.0)]
    external = with_features(settings, admission, log, specs)
    assert external.features == "offline"
    assert len(external.rows) == 99
    named = external.rows[external.rows["company"].notna()]
    # The log ends on day 20, and the file goes on: both are inside the 28 days, and only what came before counts.
    last = named.iloc[-1]
    whole = pd.concat([small.stream(400), small.stream(500).iloc[401:]])
    day = pd.Timestamp(last["event_timestamp"])
    expected = ((whole["company"] == last["company"]) & (whole["event_timestamp"] < day)).sum()
    assert last["company_postings_28d"] == expected
    assert not (settings.home / "features").exists()


def test_a_file_without_labels(settings: Settings, files: tuple[Path, Path]) -> None:
    data, mapping = files
    pd.read_csv(data).assign(label=None).to_csv(data, index=False)
    with pytest.raises(MissingInputError, match="label"):
        with_features(settings, read_file(settings, data, mapping), None, [])


def test_a_library_of_the_features_that_is_not_installed_is_said(
    settings: Settings, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an image without Feast."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "definitions.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(str(tmp_path))
    external = with_features(_with_package(settings, "own"), read_file(settings, *files), None, small.SPECS)
    assert external.features == "defaults"
    assert "no_such_library" in external.reason


def test_a_package_of_features_that_is_not_there_is_refused(settings: Settings, files: tuple[Path, Path]) -> None:
    with pytest.raises(SettingsError, match=r"features\.repo_module is no_such_features"):
        with_features(_with_package(settings, "no_such_features"), read_file(settings, *files), None, small.SPECS)


def _with_package(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"features": settings.features.model_copy(update={"repo_module": name})})


def test_repeats_of_the_log_are_marked(settings: Settings, files: tuple[Path, Path]) -> None:
    log = _contract(small.stream(400))
    admission = read_file(settings, *files)
    log.loc[0, "description"] = admission.postings.loc[5, "description"]
    rows = with_features(settings, admission, log, []).rows
    assert rows[SEEN_BEFORE].sum() == 1
    assert rows.loc[5, SEEN_BEFORE]


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "plumbline", "models", "evaluate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PLUMBLINE_HOME": str(home)},
    )


def test_the_command(
    settings: Settings, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, mapping = map(str, files)
    SnapshotStore(open_store(settings)).write(_contract(small.stream(400)), source={}, label_terms=None)
    specs = [FeatureSpec(name="company_postings_28d", kind="numeric", default=0.0)]
    small.trained(feature_specs=specs).model.save(tmp_path / "model")
    write_class_names(tmp_path / "model", {"2": "Professionals"})
    answers = tmp_path / "answers.parquet"
    done = _run(
        settings.home, "--data", data, "--mapping", mapping, "--model", str(tmp_path / "model"),
        "--predictions", str(answers), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["rows"] == {"read": 100, "admitted": 99, "quarantined": 1, "labelled": 99}
    assert result["features"] == "offline"
    assert result["n"] == 99
    assert result["accuracy"] > 0.8
    assert {"accuracy_interval", "macro_f1", "per_class", "snapshot_id"} <= set(result)
    assert len(pd.read_parquet(answers)) == 99
    assert result["class_names"] == {"2": "Professionals"}
    _print(result)
    assert "2 Professionals" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["--data", "--mapping", "--model"])
def test_the_command_refuses_what_is_not_there(files: tuple[Path, Path], tmp_path: Path, missing: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    given = {"--data": str(files[0]), "--mapping": str(files[1]), "--model": "champion", missing: str(empty)}
    done = _run(tmp_path / "home", *(part for pair in given.items() for part in pair))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()[-1]) > 20
    assert "Traceback" not in done.stderr
