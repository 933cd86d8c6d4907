"""`plumbline status`: what is there, what moved, what runs, and what is off."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from monitoring.results import ResultStore
from monitoring.sending import outbox
from plumbline import paths
from plumbline.alerts.webhook import build_alert, build_message
from plumbline.cli.status import status
from plumbline.controller.lock import only_one
from plumbline.controller.state import open_state
from plumbline.registry.content import MODEL_FOLDER
from plumbline.registry.models import ModelRegistry
from plumbline.registry.tracking import configure
from plumbline.settings import Settings
from plumbline.settings.monitoring import AlertReceiver

MODEL = "posting-classifier"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    status(as_json=True)
    return {row["part"]: (row["state"], row["detail"]) for row in json.loads(capsys.readouterr().out)["rows"]}


def test_an_empty_installation_says_what_is_off_and_stays_empty(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(capsys)
    states = {part: state for part, (state, _) in found.items()}
    assert states | {"home": "empty", "monitors": "none", "alert receivers": "off", "loop": "off"} == states
    assert states["serving"] == states["controller"] == "not running"
    assert not settings.home.exists()


def test_alerts_windows_verdicts_and_retrainings_are_told(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = build_alert("PostingDrift", severity="warning", labels={"model": MODEL}, annotations={}, starts_at=NOW)
    state = open_state(settings)
    with state.writing() as writer:
        for _ in range(2):
            number = writer.add_retraining(
                model=MODEL, fingerprint=alert.fingerprint, reason="", snapshot="latest", as_of=NOW, not_before=None
            ).id
        writer.update(number, state="promoted", model_version="2", started_at=NOW, ended_at=NOW)
        writer.save_alert(alert, action="retraining", retraining=number)
    window = {"start": "2026-02-16T00:00:00+00:00", "end": "2026-03-02T00:00:00+00:00"}
    for moved in (False, True):
        tests = [{"name": "unseen:title", "breached": moved}]
        result = {"window": window, "status": "alert" if moved else "passed", "tests": tests, "reason": None}
        ResultStore(settings).add(result, model=MODEL, version="1")
    tracking = configure(settings)
    registry = ModelRegistry(settings, tracking)
    for verdict in ("promote", "reject"):
        run = tracking.client.create_run(tracking.experiment_id)
        root = paths.tracking_dir(settings) / "models" / run.info.run_id
        (root / "artifacts" / MODEL_FOLDER).mkdir(parents=True)
        tags = {"plumbline.gate.verdict": verdict, "plumbline.gate.reasons": f"It is a {verdict}."}
        registry.register(run.info.run_id, model_id="", artifact_uri=root.as_uri(), tags=tags)
    outbox(settings).write(build_message([alert], receiver="loop"), [AlertReceiver(url="http://127.0.0.1:9/")])
    found = rows(capsys)
    assert found["alerts"][0] == "1 firing"
    assert "PostingDrift" in found["alerts"][1]
    assert found["retrainings"] == ("1 queued", f"last: number {number}, promoted, version 2")
    assert found[f"monitor {MODEL}"][0] == "alert"
    assert "2026-02-16 to 2026-03-02" in found[f"monitor {MODEL}"][1]
    assert found[f"monitor {MODEL}"][1].endswith(": unseen:title")
    assert found[f"gate {MODEL}"] == ("reject", "version 2: It is a reject.")
    assert found["alert receivers"][0] == "1 alerts wait"
    assert found["loop"][0] == "dead"
    assert "nobody works on retraining 1 (queued)" in found["loop"][1]
    with only_one(settings):
        assert rows(capsys)["loop"][0] == "alive"
    status()
    assert f"monitor {MODEL}" in capsys.readouterr().out


def test_a_store_that_is_away_hides_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = {
        "bucket": "b",
        "endpoint_url": "http://127.0.0.1:9",
        "access_key_id": "a",
        "secret_access_key": "s",
        "attempts": 1,
    }
    monkeypatch.setenv("PLUMBLINE_STORE", json.dumps(store))
    found = rows(capsys)
    assert found["snapshots"][0] == found["monitors"][0] == "unreachable"
    assert found["loop"][0] == "off"
