from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plumbline.cli.main import main

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs `plumbline data ...` with a home of its own, from its entry point on."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setenv("PLUMBLINE_HOME", str(self.home))
            patch.setattr(sys, "argv", ["plumbline", "data", *arguments])
            try:
                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refusal(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        lines = [line for line in done.stderr.splitlines() if line.startswith("plumbline: ")]
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        return lines[0]


@pytest.fixture(scope="module")
def plumbline(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def ingested(plumbline: Shell) -> dict[str, Any]:
    return plumbline.json("ingest", "--generate", "--rows", "900", "--weeks", "10", "--seed", "3")


def test_ingest_answers_with_every_figure(ingested: dict[str, Any]) -> None:
    rows = ingested["rows"]
    assert rows["read"] == 900 == rows["admitted"] + rows["quarantined"]
    assert sum(ingested["quarantine_reasons"].values()) == rows["quarantined"] > 0
    assert set(ingested["masked"]) == {"email", "phone", "link"}
    assert ingested["weeks"] == 10
    assert ingested["first_event"].startswith("2026-01-05T")
    assert 0.9 * rows["admitted"] < ingested["labelled"] < rows["admitted"]
    assert (ingested["scenario"], ingested["change_point"]) == (None, None)
    assert ingested["uri"].startswith("file://")
    assert ingested["class_names"]["1"] == "Managers"


def test_a_process_prints_json_and_nothing_else(plumbline: Shell, ingested: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plumbline", "data", "show", ingested["snapshot_id"], "--json"],
        env={**os.environ, "PLUMBLINE_HOME": str(plumbline.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["rows"] == ingested["rows"]["admitted"]


def test_ingest_again_makes_the_same_snapshot(plumbline: Shell, ingested: dict[str, Any]) -> None:
    again = plumbline.json("ingest", "--generate", "--rows", "900", "--weeks", "10", "--seed", "3")
    assert again["snapshot_id"] == ingested["snapshot_id"]


def test_a_scenario_makes_another(plumbline: Shell, ingested: dict[str, Any]) -> None:
    answer = plumbline.json(
        "ingest", "--generate", "--rows", "900", "--weeks", "10", "--seed", "3",
        "--scenario", "silent_null", "--change-point", "2026-03-02", "--share", "0.5",
    )  # fmt: skip
    assert answer["snapshot_id"] != ingested["snapshot_id"]
    assert answer["change_point"] == "2026-03-02T00:00:00+00:00"
    assert answer["rows"] == ingested["rows"]


def test_a_generated_file_is_taken_in_without_a_mapping(plumbline: Shell, tmp_path: Path) -> None:
    out = tmp_path / "postings.csv.gz"
    assert plumbline.json("generate", "--out", str(out), "--rows", "300")["rows"] == 300
    given = ("--data", str(out), "--collected", "2026-07-10")
    assert plumbline.json("validate", *given)["rows"] == {"read": 300, "admitted": 300, "quarantined": 0}
    ingested = plumbline.json("ingest", *given)
    assert ingested["rows"]["admitted"] == 300
    assert plumbline.json("show", ingested["snapshot_id"])["source"]["collected"] == "2026-07-10T00:00:00+00:00"


def test_postings_of_the_future_need_a_collection_then(
    plumbline: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA__GENERATOR__START", "2096-01-02")
    assert plumbline.json("ingest", "--generate", "--rows", "50")["last_event"] > "2096"
    out = tmp_path / "generated.csv"
    plumbline.json("generate", "--out", str(out), "--rows", "50")
    assert "later than its collection by more than 1 day (50)" in plumbline.refusal("ingest", "--data", str(out))
    assert plumbline.json("ingest", "--data", str(out), "--collected", "2096-08-01")["rows"]["admitted"] == 50
    assert "--data" in plumbline.refusal("ingest", "--generate", "--collected", "2096-08-01")


def test_snapshots_and_what_they_hold(plumbline: Shell, ingested: dict[str, Any]) -> None:
    identity = ingested["snapshot_id"]
    assert identity in {row["id"] for row in plumbline.json("snapshots")["rows"]}
    shown = plumbline.json("show", identity[:10], "--sample", "2")
    assert shown["id"] == identity
    assert len(shown["sample"]) == 2
    assert sum(shown["label_mix"].values()) == ingested["labelled"]
    kept = plumbline.json("quarantine", identity, "--limit", "3")
    assert kept["total"] == ingested["rows"]["quarantined"]
    assert {"line", "field", "reason", "row"} <= set(kept["rows"][0])
    for command in (["snapshots"], ["show", identity], ["quarantine", identity], ["scenarios"]):
        done = plumbline(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_scenarios_and_schemas_are_printed(plumbline: Shell) -> None:
    names = {row["name"] for row in plumbline.json("scenarios")["rows"]}
    assert {"vocabulary_shift", "label_shift", "new_board", "schema_change"} <= names
    assert "label_timestamp" in plumbline.json("schema")["properties"]
    assert "label" not in plumbline.json("schema", "--of", "request")["properties"]
    assert "fields" in plumbline.json("schema", "--of", "mapping")["properties"]


def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(plumbline: Shell, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("id,name\n1,a\n")
    mapping = str(EXAMPLES / "job_ads_pl.yaml")
    assert "nope.csv is not a file" in plumbline.refusal("ingest", "--data", "nope.csv", "--mapping", mapping)
    assert "no column id" not in plumbline.refusal("ingest", "--data", str(bad), "--mapping", mapping)
    assert "--generate" in plumbline.refusal("ingest")
    assert "Did you mean vocabulary_shift" in plumbline.refusal(
        "ingest", "--generate", "--scenario", "vocabulary_shfit", "--change-point", "2026-03-02"
    )
    assert "together" in plumbline.refusal("ingest", "--generate", "--scenario", "vocabulary_shift")
    assert "not an instant" in plumbline.refusal(
        "ingest", "--generate", "--scenario", "new_board", "--change-point", "tomorrow"
    )
    assert "no mapping says" in plumbline.refusal("validate", "--data", str(bad))
    assert "There is no snapshot" in plumbline.refusal("show", "0123456789")
    for unknown in ("0123456789", "0" * 64):
        assert "`plumbline data snapshots`" in plumbline.refusal("quarantine", unknown)
    assert "`plumbline data quarantine --refused`" in plumbline.refusal("quarantine", "refused-0")


def test_a_dirty_batch_is_refused_and_can_be_looked_at(plumbline: Shell, tmp_path: Path) -> None:
    path = tmp_path / "dirty.csv"
    path.write_text(
        "posting_id,event_timestamp,board,title,description\n"
        + "".join(f"{n},2026-01-05,b,,d\n" for n in range(3))
        + "9,2026-01-05,b,t,call 600 100 200\n"
    )
    sentence = plumbline.refusal("ingest", "--data", str(path))
    assert "3 of 4 rows break the contract (75.0%, tolerated 10.0%): title: missing (3)" in sentence
    name = sentence.rpartition("data quarantine ")[2].rstrip("`.")
    assert [row["line"] for row in plumbline.json("quarantine", name)["rows"]] == [2, 3, 4]
    assert {"name": name, "rows": 3} in plumbline.json("quarantine", "--refused")["rows"]
    assert "title: missing (3)" in plumbline.refusal("validate", "--data", str(path))
