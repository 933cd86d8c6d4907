"""What a person decides: it is done once, told in the audit log, and refused with what may be done instead."""

from __future__ import annotations

import fcntl
import json
import re
import shlex
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from controller_process import ControllerProcess, free_port, gone, until
from loop_trainers import ScriptedTrainer
from posting_rows import postings
from registered_versions import copy_database, register
from typer.testing import CliRunner

from plumbline import paths
from plumbline.alerts.webhook import build_alert
from plumbline.cli.controller import app
from plumbline.controller import intake
from plumbline.controller.decisions import Decisions
from plumbline.controller.lock import only_one
from plumbline.controller.loop import Loop
from plumbline.controller.records import FINAL, OPEN, Retraining
from plumbline.controller.state import ControllerState, open_state
from plumbline.controller.trainer import Attempt, Child, Outcome
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import PlumblineError, UserError
from plumbline.registry.audit import AuditEntry, AuditLog
from plumbline.registry.models import ModelRegistry
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
SNAPSHOT = "ab" * 32


class Desk:
    """A state, a trainer that answers by script, and a person."""

    def __init__(self, settings: Settings, *script: str | Exception, **controller: Any) -> None:
        self.settings = load_settings(home=settings.home, controller={"retry_pause_seconds": 0, **controller})
        self.state = open_state(self.settings)
        self.trainer = ScriptedTrainer(*script)
        self.person = Decisions(self.settings, self.state, self.trainer, who="ann@desk")

    def queue(self, **fields: Any) -> Retraining:
        with self.state.writing() as writer:
            queued = writer.add_retraining(
                model="posting-classifier", fingerprint="f", reason="words moved", snapshot=SNAPSHOT, as_of=AS_OF,
                not_before=None,
            )  # fmt: skip
            return writer.update(queued.id, **fields)

    def run(self) -> Retraining:
        Loop(self.settings, self.state, self.trainer).run_once()
        return self.state.retrainings()[-1]

    def last_entry(self) -> AuditEntry:
        return AuditLog(self.settings).read()[-1]

    def entry(self, what: str) -> AuditEntry:
        (found,) = AuditLog(self.settings).read(what=frozenset({what}))
        return found


def test_an_approved_version_is_the_champion(settings: Settings) -> None:
    desk = Desk(settings, "promote", require_approval=True)
    desk.queue()
    assert desk.run().state == "awaiting_approval"
    approved = desk.person.approve(1, "Its card is good.")
    assert (approved.state, approved.ended_at is not None) == ("promoted", True)
    assert desk.trainer.promoted == ["2"]
    entry = desk.entry("approve")
    assert (entry.who, entry.why) == ("ann@desk", "Its card is good.")
    assert desk.last_entry().numbers["approved_by"] == "ann@desk"


def test_a_rejected_version_stays_out(settings: Settings) -> None:
    desk = Desk(settings, "promote", require_approval=True)
    desk.queue()
    desk.run()
    rejected = desk.person.reject(1, "It learned from a test.")
    assert (rejected.state, desk.trainer.rejected, desk.trainer.promoted) == ("rejected", ["2"], [])
    assert (desk.entry("reject").who, desk.entry("reject").why) == ("ann@desk", "It learned from a test.")


@pytest.mark.parametrize("controller", [{}, {"release": "canary"}], ids=["direct", "canary"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_gate_may_ask_for_a_person(settings: Settings, controller: dict[str, Any], decision: str) -> None:
    desk = Desk(settings, "review", **controller)
    desk.queue()
    waiting = desk.run()
    assert (waiting.state, waiting.gate_verdict, waiting.model_version) == ("awaiting_approval", "review", "2")
    assert waiting.step == "The gate asks for a person's look. because"
    assert "controller approve 1" in desk.last_entry().why
    decided = getattr(desk.person, decision)(1, "Seen.")
    promoted = "releasing" if controller else "promoted"
    assert decided.state == (promoted if decision == "approve" else "rejected")


def test_a_failed_promotion_still_waits(settings: Settings) -> None:
    desk = Desk(settings, "promote", PlumblineError("The registry is away."), require_approval=True)
    desk.queue()
    desk.run()
    with pytest.raises(PlumblineError, match="away"):
        desk.person.approve(1, "Good.")
    assert desk.state.retraining(1).state == "awaiting_approval"
    assert desk.person.approve(1, "Good.").state == "promoted"


def test_two_people_do_not_decide_at_once(settings: Settings) -> None:
    desk = Desk(settings, "promote", require_approval=True)
    desk.queue()
    desk.run()
    with (paths.controller_dir(settings) / "decisions.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is being carried out"):
            desk.person.reject(1, "No.")
    assert desk.person.reject(1, "No.").state == "rejected"


def test_a_cancelled_retraining_is_not_run(settings: Settings) -> None:
    desk = Desk(settings)
    desk.queue()
    cancelled = desk.person.cancel(1, "The alert was a test.")
    assert (cancelled.state, cancelled.error) == ("cancelled", "Cancelled by ann@desk: The alert was a test.")
    assert (desk.entry("cancel").who, desk.entry("cancel").why) == ("ann@desk", "The alert was a test.")
    assert desk.run().state == "cancelled"
    assert desk.trainer.trained == []


def test_what_a_dead_controller_left_running_is_ended(settings: Settings) -> None:
    desk = Desk(settings)
    desk.queue(state="running", child_pid=77, child_started=5.0, attempts=1)
    assert desk.person.cancel(1, "Wrong week.").step == "done"
    assert desk.trainer.ended == [Child(77, 5.0)]


def test_what_a_killed_cancel_left_running_is_ended_by_the_next_controller(settings: Settings) -> None:
    desk = Desk(settings)
    desk.queue(state="running", child_pid=77, child_started=5.0, attempts=1)
    with only_one(desk.settings):  # as if a controller worked, which then dies
        desk.person.cancel(1, "Wrong week.")
    assert desk.trainer.ended == []
    loop = Loop(desk.settings, desk.state, desk.trainer)
    loop.start()
    until(lambda: desk.state.retraining(1).step == "done")
    loop.stop()
    assert desk.trainer.ended == [Child(77, 5.0)]
    assert desk.state.retraining(1).state == "cancelled"


class _CancelledMeanwhile(ScriptedTrainer):
    """Cancels its own retraining in the middle of the training."""

    def __init__(self, desk: Desk, *script: str) -> None:
        super().__init__(*script)
        self._desk = desk

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        with only_one(self._desk.settings):
            self._desk.person.cancel(1, "Too late?")
        return super().train(snapshot, as_of, reason=reason, promote=promote, attempt=attempt)


@pytest.mark.parametrize(
    ("verdict", "state"), [("promote", "promoted"), ("reject", "cancelled"), ("review", "cancelled")]
)
def test_what_is_promoted_when_the_cancel_comes_is_told_as_promoted(
    settings: Settings, verdict: str, state: str
) -> None:
    desk = Desk(settings)
    desk.queue()
    desk.trainer = _CancelledMeanwhile(desk, verdict)
    assert (desk.run().state, desk.state.retraining(1).step) == (state, "done")


def test_a_running_retraining_is_cancelled_while_the_controller_runs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    (tmp_path / "training").touch()
    controller = ControllerProcess(tmp_path, free_port())
    try:
        controller.alert()
        child = controller.wait_for_step("training")
        done = CliRunner().invoke(app, ["cancel", "1", "--reason", "Wrong week.", "--json"])
        assert json.loads(done.stdout)["state"] == "cancelled"
        until(lambda: gone(child))
        until(lambda: controller.retraining()["step"] == "done")
        assert 'state="cancelled"} 1.0' in httpx.get(f"{controller.url}/metrics").text
        # The queue goes on.
        (tmp_path / "training").unlink()
        assert CliRunner().invoke(app, ["retry", "1", "--reason", "The right one."]).exit_code == 0
        until(lambda: controller.status()["retrainings"][-1]["state"] == "promoted")
    finally:
        controller.process.kill()
        controller.process.wait()


def test_a_retry_is_a_new_retraining_of_the_same(settings: Settings) -> None:
    desk = Desk(settings, PlumblineError("no disk"), max_attempts=1)
    desk.queue()
    assert desk.run().state == "failed"
    again = desk.person.retry(1, "There is room again.")
    assert (again.id, again.state, again.snapshot, again.as_of) == (2, "queued", SNAPSHOT, AS_OF)
    assert again.reason == "Retraining 1 again, by ann@desk: There is room again."
    assert desk.run().state == "promoted"
    assert (desk.entry("retry").who, desk.entry("retry").why) == ("ann@desk", "There is room again.")


def test_a_trigger_needs_no_alert_and_no_cooldown(settings: Settings) -> None:
    desk = Desk(settings)
    desk.queue()
    desk.run()
    desk.person.trigger(SNAPSHOT, AS_OF, "A new label set.")
    assert desk.run().state == "promoted"
    assert desk.trainer.trained[-1] == (SNAPSHOT, AS_OF, True)
    assert (desk.entry("trigger").who, desk.entry("trigger").why) == ("ann@desk", "A new label set.")


@pytest.mark.parametrize("open_", OPEN)
def test_one_retraining_of_a_model_goes_on_at_a_time(settings: Settings, open_: str) -> None:
    desk = Desk(settings)
    desk.queue(state=open_)
    failed = desk.queue(state="failed")
    for refused in (
        lambda: desk.person.trigger("latest", AS_OF, "Now."),
        lambda: desk.person.retry(failed.id, "Now."),
    ):
        with pytest.raises(UserError, match=f"Retraining 1 of posting-classifier is {open_}"):
            refused()
    assert len(desk.state.retrainings()) == 2


def test_triggers_at_once_queue_one(settings: Settings) -> None:
    desk = Desk(settings)
    refused: list[UserError] = []

    def ask() -> None:
        try:
            desk.person.trigger("latest", AS_OF, "Now.")
        except UserError as error:
            refused.append(error)

    people = [threading.Thread(target=ask) for _ in range(8)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert (len(desk.state.retrainings()), len(refused)) == (1, 7)


def test_what_a_person_queued_is_joined_by_alerts(settings: Settings) -> None:
    desk = Desk(settings)
    desk.person.trigger("latest", AS_OF, "Now.")
    alert = build_alert("PostingDrift", severity="warning", labels={"version": "1"}, annotations={}, starts_at=AS_OF)
    (taken,) = intake.take([alert], desk.state, desk.settings)
    assert (taken.action, taken.retraining) == ("joined", 1)


_ALLOWED = {
    "approve": {"awaiting_approval"},
    "reject": {"awaiting_approval"},
    "cancel": {"queued", "running"},
    "retry": {"failed", "cancelled"},
}


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """The commands, on a registry with a champion and a challenger, and one snapshot."""
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    copy_database(settings, tmp_path / "whole.db")
    registry = ModelRegistry(settings)
    register(registry, tmp_path / "a")
    register(registry, tmp_path / "b")
    registry.promote("1", "The first.")
    registry.challenge("2")
    return CliRunner()


@pytest.mark.parametrize("state", [*OPEN, *FINAL])
def test_a_wrong_state_is_refused_with_what_may_be_done_and_that_can_be_done(
    settings: Settings, command: CliRunner, state: str
) -> None:
    snapshot = SnapshotStore(open_store(settings)).write(postings(3), source={}).id
    desk = Desk(settings)
    desk.queue(state=state, model_version="2", snapshot=snapshot)
    for verb, states in _ALLOWED.items():
        if state in states:
            continue
        done = command.invoke(app, [verb, "1", *(() if verb == "approve" else ("--reason", "Because."))])
        assert getattr(done.exception, "exit_code", None) == 2
        assert f"Retraining 1 is {state} and cannot be" in str(done.exception)
    advised = re.search(r"`plumbline controller ([^`]+)`", str(done.exception))
    if state in ("promoted", "releasing"):
        assert "`plumbline models rollback" in str(done.exception) or "`plumbline release abort" in str(done.exception)
        return
    assert advised is not None
    carried_out = command.invoke(app, shlex.split(advised[1].replace("...", "Because.")))
    assert carried_out.exit_code == 0, carried_out.exception


def test_a_rejected_version_loses_its_alias(settings: Settings, command: CliRunner) -> None:
    Desk(settings).queue(state="awaiting_approval", model_version="2")
    assert command.invoke(app, ["reject", "1", "--reason", "It is slow."]).exit_code == 0
    assert ModelRegistry(settings).aliases() == {"champion": "1"}
    of_the_registry, of_the_person = AuditLog(settings).read(what=frozenset({"reject"}))
    assert of_the_registry.why == f"Retraining 1 rejected by {of_the_person.who}: It is slow."
    assert of_the_person.why == "It is slow."


def test_an_approved_version_is_the_champion_in_the_registry(settings: Settings, command: CliRunner) -> None:
    Desk(settings).queue(state="awaiting_approval", model_version="2")
    assert command.invoke(app, ["approve", "1"]).exit_code == 0
    assert ModelRegistry(settings).aliases() == {"champion": "2", "previous": "1"}


def test_the_champion_is_not_rejected(settings: Settings, command: CliRunner) -> None:
    # Approved by a process that was killed before it wrote that down.
    Desk(settings).queue(state="awaiting_approval", model_version="1")
    refused = command.invoke(app, ["reject", "1", "--reason", "No."])
    assert "is the champion" in str(refused.exception)
    assert command.invoke(app, ["approve", "1"]).exit_code == 0
    assert open_state(settings).retraining(1).state == "promoted"


def test_a_trigger_of_postings_that_are_not_there_is_refused(settings: Settings, command: CliRunner) -> None:
    for wanted in (["--snapshot", "ab" * 32], []):
        refused = command.invoke(app, ["trigger", "--reason", "Now.", *wanted])
        assert getattr(refused.exception, "exit_code", None) == 2
        assert "snapshot" in str(refused.exception)
    snapshot = SnapshotStore(open_store(settings)).write(postings(3), source={}).id
    done = command.invoke(
        app, ["trigger", "--reason", "Now.", "--snapshot", snapshot[:8], "--as-of", "2026-02-01", "--json"]
    )
    assert json.loads(done.stdout)["as_of"] == "2026-02-01T00:00:00+00:00"
    queued: ControllerState = open_state(settings)
    assert queued.retraining(1).snapshot == snapshot
    assert "nobody works on retraining 1 (queued)" in done.stderr
