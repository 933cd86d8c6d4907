"""`plumbline controller`: what is known can be asked while nothing runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from loop_trainers import ScriptedTrainer
from typer.testing import CliRunner

from plumbline.alerts.webhook import build_alert, build_message
from plumbline.cli.controller import app
from plumbline.controller import intake
from plumbline.controller.loop import Loop
from plumbline.controller.server import open_state
from plumbline.settings import Settings


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    return CliRunner()


def test_nothing_has_happened_yet(command: CliRunner) -> None:
    assert json.loads(command.invoke(app, ["status", "--json"]).stdout) == {"retrainings": [], "alerts": []}
    assert json.loads(command.invoke(app, ["audit", "--json"]).stdout) == {"rows": []}
    assert command.invoke(app, ["status"]).exit_code == 0


def test_what_has_happened_is_shown(command: CliRunner, settings: Settings) -> None:
    alert = build_alert(
        "PostingDrift",
        severity="warning",
        labels={"model": "posting-classifier", "model_version": "1"},
        annotations={"summary": "words moved", "snapshot_id": "abc"},
        starts_at=datetime(2026, 5, 20, tzinfo=UTC),
    )
    state = open_state(settings)
    intake.take(build_message([alert], receiver="test"), state, settings)
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
    assert "does not exist" in str(done.exception)
