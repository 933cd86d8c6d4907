"""A retraining whose version is let in as a canary: watched, promoted or rolled back, whatever stops on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from loop_trainers import ScriptedTrainer
from registered_versions import copy_database, register

from plumbline.alerts.webhook import build_alert
from plumbline.controller import intake
from plumbline.controller.decisions import Decisions
from plumbline.controller.loop import Loop
from plumbline.controller.process import CommandTrainer
from plumbline.controller.records import Retraining
from plumbline.controller.state import ControllerState, open_state
from plumbline.controller.trainer import Attempt, StoppedError
from plumbline.errors import PlumblineError
from plumbline.registry.audit import AuditLog
from plumbline.registry.models import ModelRegistry
from plumbline.registry.releases import Releases
from plumbline.settings import Settings, load_settings


@pytest.fixture
def canary(settings: Settings) -> Settings:
    return load_settings(home=settings.home, controller={"release": "canary", "release_poll_seconds": 0.001})


def _asked(settings: Settings) -> ControllerState:
    """A state with one retraining that is queued."""

    alert = build_alert(
        "PostingDrift",
        severity="warning",
        labels={"model": "posting-classifier", "model_version": "1"},
        annotations={"summary": "words moved", "snapshot_id": "ab" * 32, "window_end": "2026-06-01T00:00:00+00:00"},
        starts_at=datetime(2026, 5, 20, tzinfo=UTC),
    )
    state = open_state(settings)
    intake.take([alert], state, settings)
    return state


def _only(state: ControllerState) -> Retraining:
    (retraining,) = state.retrainings()
    return retraining


def _follow(settings: Settings, state: ControllerState, trainer: ScriptedTrainer, looks: int) -> Retraining:
    """Each look by a controller of its own: the state is in the database and in the registry."""
    for _ in range(looks):
        Loop(settings, state, trainer).follow_releases()
    return _only(state)


def test_a_version_that_does_well_is_promoted(canary: Settings) -> None:
    state, trainer = _asked(canary), ScriptedTrainer("promote")
    trainer.releases = ["running", "running", "promoted"]
    Loop(canary, state, trainer).run_once()
    assert trainer.trained[0][2] is False, "the pipeline must not promote"
    assert (_only(state).state, _only(state).gate_verdict) == ("releasing", "promote")
    assert _follow(canary, state, trainer, 2).state == "releasing"
    assert _only(state).step == "It is running."
    done = _follow(canary, state, trainer, 2)
    assert (done.state, done.step) == ("promoted", "done")
    assert done.ended_at is not None
    assert done.result is not None
    assert done.result["release"]["requests"] == 600
    assert trainer.released == ["2", "2", "2"], "what is over is not looked at again"
    assert [entry.what for entry in AuditLog(canary).read()] == ["retrain", "release", "promoted"]


@pytest.mark.parametrize("ending", ["rolled_back", "aborted"])
def test_a_version_that_was_taken_out_is_recorded(canary: Settings, ending: str) -> None:
    state, trainer = _asked(canary), ScriptedTrainer("promote")
    trainer.releases = ["running", ending]
    Loop(canary, state, trainer).run_once()
    assert _follow(canary, state, trainer, 2).state == "rolled_back"
    last = AuditLog(canary).read()[-1]
    assert (last.what, last.numbers["why"]) == ("rolled_back", f"It is {ending}.")
    assert "champion is kept" in last.why


def test_a_rejected_version_is_not_let_in(canary: Settings) -> None:
    state, trainer = _asked(canary), ScriptedTrainer("reject")
    Loop(canary, state, trainer).run_once()
    assert _follow(canary, state, trainer, 1).state == "rejected"
    assert trainer.released == []


def test_alerts_join_a_release_that_goes_on(canary: Settings) -> None:
    state = _asked(canary)
    Loop(canary, state, ScriptedTrainer("promote")).run_once()
    _asked(canary)
    assert len(state.retrainings()) == 1
    assert state.alerts()[0]["action"] == "joined"


def test_an_approved_version_is_let_in_too(settings: Settings) -> None:
    both = load_settings(
        home=settings.home, controller={"release": "canary", "require_approval": True, "release_poll_seconds": 0.001}
    )
    state, trainer = _asked(both), ScriptedTrainer("promote")
    trainer.releases = ["promoted"]
    loop = Loop(both, state, trainer)
    loop.run_once()
    assert _follow(both, state, trainer, 1).state == "awaiting_approval"
    assert Decisions(both, state, trainer, who="ann@desk").approve(1, "Its card was read.").state == "releasing"
    assert trainer.promoted == []
    assert _follow(both, state, trainer, 1).state == "promoted"


def test_what_is_away_is_asked_again_but_not_for_ever(canary: Settings) -> None:
    state, trainer = _asked(canary), ScriptedTrainer("promote")
    away = PlumblineError("the registry is away")
    trainer.releases = [away, StoppedError("stopped"), "running", away]
    Loop(canary, state, trainer).run_once()
    first = _follow(canary, state, trainer, 1)
    assert (first.state, first.error) == ("releasing", "the registry is away")
    again = _follow(canary, state, trainer, 2)
    assert (again.state, again.error) == ("releasing", None)
    hasty = load_settings(home=canary.home, controller={"release": "canary", "release_patience_seconds": 1e-9})
    failed = _follow(hasty, state, trainer, 1)
    assert failed.state == "failed"
    assert "given up" in str(failed.error)
    assert "release status" in AuditLog(canary).read()[-1].why


def test_the_commands_do_what_the_loop_expects(settings: Settings, tmp_path: Path) -> None:
    """The real commands, on a real registry: started, too early to promote, rolled back by a replica."""
    copy_database(settings, tmp_path / "whole.db")
    registry = ModelRegistry(settings)
    register(registry, tmp_path / "a")
    register(registry, tmp_path / "b")
    registry.promote("1", "The first.")
    trainer = CommandTrainer(settings)
    attempt = Attempt("release-1", tmp_path / "release-1.log", on_start=lambda _: None)
    started = trainer.release("2", "An alert.", attempt=attempt)
    assert started.state == "running"
    assert registry.aliases() == {"champion": "1", "canary": "2"}
    judged = trainer.release("2", "An alert.", attempt=attempt)
    assert judged.state == "running"
    assert "0 of 500 answers" in judged.why
    releases = Releases(settings, registry)
    release = releases.require_current()
    releases.end(release.id, "2", "rolled_back", "It errs.", who="replica a")
    over = trainer.release("2", "An alert.", attempt=attempt)
    assert (over.state, over.why) == ("rolled_back", "It errs.")
