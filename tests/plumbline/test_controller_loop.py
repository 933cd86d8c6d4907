"""One alert, one retraining; and whatever happens on the way, the state says so."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from loop_trainers import ScriptedTrainer

from plumbline.alerts.webhook import Alert, build_alert
from plumbline.controller import intake
from plumbline.controller.loop import Loop
from plumbline.controller.records import Retraining
from plumbline.controller.state import ControllerState, open_state
from plumbline.controller.trainer import Child
from plumbline.errors import GateRefusedError, PlumblineError
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings, load_settings

WINDOW_END = datetime(2026, 6, 1, tzinfo=UTC)
SNAPSHOT, OTHER = "ab" * 32, "cd" * 32


def _settings(base: Settings, **controller: object) -> Settings:
    return load_settings(home=base.home, controller={"retry_pause_seconds": 0, **controller})


def _alert(name: str = "PostingDrift", version: str = "1", snapshot: str = SNAPSHOT, **annotations: str) -> Alert:
    notes = {"summary": "words moved", "snapshot_id": snapshot, "window_end": WINDOW_END.isoformat(), **annotations}
    return build_alert(
        name,  # type: ignore[arg-type]
        severity="warning",
        labels={"model": "posting-classifier", "model_version": version},
        annotations=notes,
        starts_at=WINDOW_END - timedelta(days=10),
    )


def _take(state: ControllerState, settings: Settings, *alerts: Alert) -> list[str]:
    return [taken.action for taken in intake.take(alerts, state, settings)]


def _only(state: ControllerState) -> Retraining:
    (retraining,) = state.retrainings()
    return retraining


def test_an_alert_leads_to_a_retraining_that_knows_the_windows_labels(settings: Settings) -> None:
    settings, trainer = _settings(settings), ScriptedTrainer("promote")
    state = open_state(settings)
    assert _take(state, settings, _alert()) == ["retraining"]
    assert Loop(settings, state, trainer).run_once()
    assert trainer.trained == [(SNAPSHOT, WINDOW_END + timedelta(days=7), True)]
    done = _only(state)
    assert (done.state, done.gate_verdict, done.model_version, done.attempts) == ("promoted", "promote", "2", 1)
    assert [entry.what for entry in AuditLog(settings).read()] == ["retrain", "promoted"]
    assert not Loop(settings, state, trainer).run_once()


def test_the_alert_may_say_what_is_to_be_known(settings: Settings) -> None:
    settings = _settings(settings)
    state = open_state(settings)
    _take(state, settings, _alert(as_of="2026-07-01T02:00:00+02:00"))
    assert _only(state).as_of == datetime(2026, 7, 1, tzinfo=UTC)


def test_a_repeated_alert_joins_the_retraining_under_way(settings: Settings) -> None:
    settings = _settings(settings)
    state = open_state(settings)
    assert _take(state, settings, _alert(), _alert("ModelQualityDrop")) == ["retraining", "joined"]
    assert _take(state, settings, _alert()) == ["joined"]
    assert len(state.retrainings()) == 1
    received = {alert["name"]: alert["received"] for alert in state.alerts()}
    assert received == {"PostingDrift": 2, "ModelQualityDrop": 1}


def test_after_a_retraining_it_cools_down(settings: Settings) -> None:
    settings = _settings(settings, cooldown_seconds=0.3)
    state, trainer = open_state(settings), ScriptedTrainer()
    _take(state, settings, _alert())
    Loop(settings, state, trainer).run_once()
    assert _take(state, settings, _alert(version="2", snapshot=OTHER)) == ["cooldown"]
    time.sleep(0.35)
    assert _take(state, settings, _alert(version="2", snapshot=OTHER)) == ["retraining"]


def test_the_same_work_is_not_done_twice(settings: Settings) -> None:
    settings = _settings(settings, cooldown_seconds=0)
    state = open_state(settings)
    _take(state, settings, _alert())
    Loop(settings, state, ScriptedTrainer("reject")).run_once()
    assert _take(state, settings, _alert()) == ["already_done"]
    assert _take(state, settings, _alert(snapshot=OTHER)) == ["retraining"]


def test_resolved_and_other_alerts_are_recorded_only(settings: Settings) -> None:
    settings = _settings(settings)
    state = open_state(settings)
    resolved = _alert().model_copy(update={"status": "resolved"})
    assert _take(state, settings, resolved, _alert("MonitorFailed")) == ["resolved", "recorded"]
    assert state.retrainings() == []
    assert {alert["action"] for alert in state.alerts()} == {"resolved", "recorded"}


def test_a_reject_keeps_the_champion(settings: Settings) -> None:
    settings, trainer = _settings(settings), ScriptedTrainer("reject")
    state = open_state(settings)
    _take(state, settings, _alert())
    Loop(settings, state, trainer).run_once()
    assert (_only(state).state, _only(state).gate_verdict) == ("rejected", "reject")
    assert trainer.promoted == []
    last = AuditLog(settings).read()[-1]
    assert last.what == "rejected"
    assert "champion is kept" in last.why


def test_a_failing_trainer_is_tried_again_and_then_given_up(settings: Settings) -> None:
    settings = _settings(settings, max_attempts=2)
    trainer = ScriptedTrainer(PlumblineError("no memory"), GateRefusedError("parity 99%"))
    state = open_state(settings)
    _take(state, settings, _alert())
    loop = Loop(settings, state, trainer)
    assert loop.run_once()
    assert (_only(state).state, _only(state).error) == ("queued", "no memory")
    assert loop.run_once()
    failed = _only(state)
    assert (failed.state, failed.error, failed.attempts) == ("failed", "parity 99%", 2)
    assert failed.ended_at is not None
    assert [entry.what for entry in AuditLog(settings).read()] == ["retrain", "retry", "retrain", "fail"]


def test_an_error_that_nobody_foresaw_is_a_failure_like_others(settings: Settings) -> None:
    settings = _settings(settings, max_attempts=1)
    state = open_state(settings)
    _take(state, settings, _alert())
    assert Loop(settings, state, ScriptedTrainer(ZeroDivisionError("oh"))).run_once()
    assert (_only(state).state, _only(state).error) == ("failed", "ZeroDivisionError: oh")


def test_a_failed_retraining_does_not_count_as_done(settings: Settings) -> None:
    settings = _settings(settings, max_attempts=1, cooldown_seconds=0)
    state = open_state(settings)
    _take(state, settings, _alert())
    Loop(settings, state, ScriptedTrainer(PlumblineError("disk"))).run_once()
    assert _take(state, settings, _alert()) == ["retraining"]


def test_a_retraining_may_wait_for_its_instant(settings: Settings) -> None:
    settings = _settings(settings, wait_for_as_of=True)
    state = open_state(settings)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    _take(state, settings, _alert(as_of=later))
    assert not Loop(settings, state, ScriptedTrainer()).run_once()
    assert _only(state).state == "queued"


def test_promotion_may_need_a_person(settings: Settings) -> None:
    settings, trainer = _settings(settings, require_approval=True), ScriptedTrainer("promote")
    state = open_state(settings)
    _take(state, settings, _alert())
    loop = Loop(settings, state, trainer)
    loop.run_once()
    assert trainer.trained[0][2] is False
    assert _only(state).state == "awaiting_approval"
    assert _take(state, settings, _alert()) == ["joined"]


def test_what_a_crash_cut_off_is_tried_again_as_long_as_tries_are_left(settings: Settings) -> None:
    settings = _settings(settings, max_attempts=2)
    state = open_state(settings)
    _take(state, settings, _alert())
    state.update(1, state="running", step="training", attempts=1, child_pid=2**22 + 1, child_started=1.0)
    trainer = ScriptedTrainer()
    Loop(settings, state, trainer).recover()
    assert trainer.ended == [Child(2**22 + 1, 1.0)]
    assert (_only(state).state, _only(state).child_pid) == ("queued", None)
    state.update(1, state="running", attempts=2)
    Loop(settings, state, ScriptedTrainer()).recover()
    assert _only(state).state == "failed"
    assert "killed during the step 'waiting to try again'" in str(_only(state).error)
