"""`plumbline release ...` on a real registry, log and snapshot."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import GateRefusedError, MissingInputError, PlumblineError, UserError
from plumbline.registry.models import TAG_VERDICT, ModelRegistry
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.prediction_log import PredictionRecord, open_log
from serving.release.cli import app

RUNNER = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Version 1 is the champion, 2 is new, 3 was rejected."""
    settings = load_settings(home=tmp_path / "home")
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    monkeypatch.setenv("PLUMBLINE_SERVING__RELEASE__MIN_SECONDS", "0")
    monkeypatch.setenv("PLUMBLINE_SERVING__RELEASE__MIN_REQUESTS", "50")
    registry = ModelRegistry(settings)
    for verdict in ("promote", "promote", "reject"):
        folder = tmp_path / f"model-{len(registry.list())}"
        (folder / "artifacts" / "posting_model").mkdir(parents=True)
        (folder / "artifacts" / "posting_model" / "config.json").write_text("{}")
        run = registry.tracking.client.create_run(registry.tracking.experiment_id).info.run_id
        registry.register(run, artifact_uri=str(folder), tags={TAG_VERDICT: verdict})
    registry.promote("1", "The first.")
    return settings


def _json(*arguments: str) -> dict[str, Any]:
    done = RUNNER.invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _refused(kind: type[PlumblineError], said: str, *arguments: str) -> int:
    with pytest.raises(kind, match=said) as refused:
        RUNNER.invoke(app, arguments, catch_exceptions=False)
    return refused.value.exit_code


def _answered(settings: Settings, postings: pd.DataFrame, role: str, version: str, *, wrong: int) -> None:
    """Logs an answer to each posting, the first ones wrong."""
    log = open_log(settings)
    rows = postings[["posting_id", "company", "board", "label"]].itertuples(index=False)
    log.append(
        [
            PredictionRecord(
                request_id=f"{role}-{number}",
                time=datetime.now(UTC),
                posting_id=posting_id,
                event_timestamp=datetime.now(UTC),
                company=company,
                board=board,
                features={},
                features_expired=[],
                features_missing=[],
                features_later=[],
                label="nothing of the kind" if number < wrong else label,
                probability=0.5,
                model_name="posting-classifier",
                model_version=version,
                degraded=False,
                degraded_reasons=[],
                queue_ms=0.0,
                features_ms=0.0,
                encode_ms=0.0,
                model_ms=0.0,
                total_ms=0.0,
                role=role,  # type: ignore[arg-type]
            )
            for number, (posting_id, company, board, label) in enumerate(rows)
        ]
    )
    log.close()


def test_a_release_from_start_to_champion(home: Settings) -> None:
    assert _json("status") == {"release": None}
    assert "No release goes on" in RUNNER.invoke(app, ["status"]).stdout
    started = _json("start", "2", "--reason", "Let it in.")
    assert (started["version"], started["weight"], started["canary"], started["shadow"]) == ("2", 0.05, True, False)
    assert _json("set-weight", "0.5", "--reason", "It does well.")["weight"] == 0.5
    assert _json("status")["release"]["weight"] == 0.5
    promoted = _json("promote", "--reason", "It does very well.")
    assert promoted["state"] == "promoted"
    assert ModelRegistry(home).aliases() == {"champion": "2", "previous": "1"}
    assert _json("status", "--version", "2")["release"]["state"] == "promoted"
    assert [row["what"] for row in _json("history")["rows"]] == [
        "release start",
        "release set-weight",
        "release promote",
    ]


def test_what_is_refused_and_with_which_exit_code(home: Settings) -> None:
    assert _refused(GateRefusedError, "rejected version 3", "start", "3", "--reason", "x") == 3
    assert _refused(MissingInputError, "No release goes on", "abort", "--reason", "x") == 2
    assert _refused(MissingInputError, "No release goes on", "judge") == 2
    assert RUNNER.invoke(app, ["start", "2"]).exit_code == 2  # a reason is asked for
    shadow = _json("start", "2", "--shadow", "--reason", "Look at it.")
    assert (shadow["canary"], shadow["shadow"], shadow["weight"]) == (False, True, 0.0)
    assert _refused(UserError, "goes on since", "start", "2", "--reason", "x") == 2
    assert _refused(UserError, "from 0 to 1", "set-weight", "5", "--reason", "x") == 2
    assert _json("abort", "--reason", "Enough.")["state"] == "aborted"


def test_a_canary_that_answers_worse_is_rolled_back_by_the_judge(home: Settings) -> None:
    postings = pd.concat(list(generate(GeneratorConfig(rows=2000, weeks=8, companies=50))), ignore_index=True)
    postings = postings.dropna(subset=["label"])
    SnapshotStore(open_store(home)).write(postings, source={"kind": "generator"})
    _json("start", "2", "--reason", "Let it in.")
    _answered(home, postings.iloc[:1000], "champion", "1", wrong=200)
    _answered(home, postings.iloc[1000:1200], "canary", "2", wrong=120)
    until = (datetime.now(UTC) + timedelta(days=3650)).replace(tzinfo=None, microsecond=0).isoformat()
    said = _json("judge", "--as-of", until)
    assert (said["decision"], said["basis"], said["state"]) == ("roll back", "labels", "running")
    assert said["quality"]["wrong"] == 120
    done = _json("judge", "--as-of", until, "--apply")
    assert (done["decision"], done["state"]) == ("roll back", "rolled_back")
    assert ModelRegistry(home).aliases() == {"champion": "1"}
    rows = _json("history")["rows"]
    assert [row["what"] for row in rows] == ["release start", "release verdict", "release roll-back"]
    assert rows[-1]["numbers"]["quality"]["champion_wrong"] == 200


def test_without_a_snapshot_the_judge_goes_by_objectives(home: Settings) -> None:
    _json("start", "2", "--reason", "Let it in.")
    assert _json("judge")["decision"] == "continue"
    assert _refused(MissingInputError, "snapshot", "judge", "--snapshot", "0123456789") == 2
    frame = pd.DataFrame({"posting_id": [f"p{n}" for n in range(60)], "company": "c", "board": "b", "label": "a"})
    _answered(home, frame, "canary", "2", wrong=0)
    done = _json("judge", "--apply")
    assert (done["decision"], done["basis"], done["state"]) == ("promote", "objectives", "promoted")
