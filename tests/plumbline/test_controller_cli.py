"""`plumbline controller`: what is known can be asked while nothing runs."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from controller_process import ControllerProcess, free_port, until
from loop_trainers import ScriptedTrainer
from typer.testing import CliRunner

from plumbline.alerts.webhook import build_alert
from plumbline.cli.controller import app
from plumbline.controller import intake
from plumbline.controller.lock import only_one
from plumbline.controller.loop import Loop
from plumbline.controller.state import open_state
from plumbline.settings import Settings


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    return CliRunner()


def test_nothing_has_happened_yet(command: CliRunner) -> None:
    status = json.loads(command.invoke(app, ["status", "--json"]).stdout)
    assert (status["retrainings"], status["alerts"], status["controller"]["works"]) == ([], [], False)
    assert json.loads(command.invoke(app, ["audit", "--json"]).stdout) == {"rows": []}
    assert command.invoke(app, ["status"]).exit_code == 0


def test_what_has_happened_is_shown(command: CliRunner, settings: Settings) -> None:
    alert = build_alert(
        "PostingDrift",
        severity="warning",
        labels={"model": "posting-classifier", "model_version": "1"},
        annotations={"summary": "words moved", "snapshot_id": "ab" * 32},
        starts_at=datetime(2026, 5, 20, tzinfo=UTC),
    )
    state = open_state(settings)
    intake.take([alert], state, settings)
    Loop(settings, state, ScriptedTrainer("promote")).run_once()
    status = json.loads(command.invoke(app, ["status", "--json"]).stdout)
    assert status["retrainings"][0]["state"] == "promoted"
    assert status["alerts"][0]["annotations"]["summary"] == "words moved"
    assert "promoted" in command.invoke(app, ["status"]).stdout
    audit = json.loads(command.invoke(app, ["audit", "--json"]).stdout)["rows"]
    assert [entry["what"] for entry in audit] == ["retrain", "promoted"]


def test_only_what_waits_can_be_approved(command: CliRunner) -> None:
    done = command.invoke(app, ["approve", "3"])
    assert getattr(done.exception, "exit_code", None) == 2
    assert "There is no retraining 3" in str(done.exception)


def test_a_controller_that_works_is_known(command: CliRunner, settings: Settings) -> None:
    with only_one(settings):
        status = json.loads(command.invoke(app, ["status", "--json"]).stdout)["controller"]
        assert (status["works"], status["pid"]) == (True, os.getpid())
        assert datetime.fromisoformat(status["since"]) <= datetime.now(UTC)
        assert f"works on this state since {status['since']} (process {os.getpid()} on " in command.invoke(
            app, ["status"]
        ).stdout.replace("\n", " ")
    after = json.loads(command.invoke(app, ["status", "--json"]).stdout)["controller"]
    assert (after["works"], after["pid"]) == (False, os.getpid())
    assert "has ended. `plumbline controller run` starts one" in after["message"]


def test_a_controller_that_has_died_is_told_and_how_to_go_on(
    command: CliRunner, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "training").touch()
    controller = ControllerProcess(tmp_path, free_port())
    controller.alert()
    controller.wait_for_step("training")
    alive = controller.status()["controller"]
    assert (alive["works"], alive["pid"]) == (True, controller.process.pid)
    controller.end(signal.SIGKILL)
    dead = json.loads(command.invoke(app, ["status", "--json"]).stdout)["controller"]
    assert (dead["works"], dead["since"]) == (False, alive["since"])
    assert f"(process {controller.process.pid} on" in dead["message"]
    assert "nobody works on retraining 1 (running). `plumbline controller run` starts one" in dead["message"]
    assert dead["message"] in command.invoke(app, ["status"]).stdout
    (tmp_path / "training").unlink()
    again = ControllerProcess(tmp_path, free_port())  # what the message says
    until(lambda: again.retraining()["state"] == "promoted")
    again.end(signal.SIGTERM)
