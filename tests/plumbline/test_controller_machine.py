"""Retrainings under any order of alerts, people, stops and kills: what never happens, and what always does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from loop_trainers import ScriptedTrainer

from plumbline.alerts.webhook import build_alert
from plumbline.controller import intake
from plumbline.controller.database import Database
from plumbline.controller.decisions import Decisions
from plumbline.controller.loop import Loop
from plumbline.controller.records import FINAL, OPEN, Retraining
from plumbline.controller.state import open_state
from plumbline.controller.trainer import Attempt, Outcome, StoppedError
from plumbline.errors import PlumblineError, UserError
from plumbline.settings import Settings, load_settings

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
ALERT = build_alert("PostingDrift", severity="warning", labels={"version": "1"}, annotations={}, starts_at=AS_OF)


class Killed(BaseException):
    """What SIGKILL is to a process: nothing catches it."""


class OnceTrainer(ScriptedTrainer):
    """Trains by its script; `Killed` and `StoppedError` in it end the controller."""

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        step = self.script[0] if self.script else "promote"
        if isinstance(step, Killed):
            self.script.pop(0)
            raise step
        if isinstance(step, StoppedError):
            attempt.on_stop()
        return super().train(snapshot, as_of, reason=reason, promote=promote, attempt=attempt)


@contextmanager
def killed_after(commits: int) -> Iterator[None]:
    """Kills the process right after so many changes of its state."""
    writing, left = Database.writing, commits

    @contextmanager
    def counted(self: Database) -> Iterator[Any]:
        nonlocal left
        with writing(self) as connection:
            yield connection
        left -= 1
        if left == 0:
            raise Killed

    Database.writing = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database.writing = writing  # type: ignore[method-assign]


def _to_its_end(settings: Settings, trainer: ScriptedTrainer) -> list[Retraining]:
    """A controller that works until nothing is left to do; people approve whatever waits."""
    state = open_state(settings)
    loop = Loop(settings, state, trainer)
    loop.recover()
    for _ in range(20):
        loop.run_once()
        loop.follow_releases()
        for waiting in state.retrainings(states=("awaiting_approval",)):
            Decisions(settings, state, trainer, who="ann").approve(waiting.id, "Good.")
    return state.retrainings()


_WAYS: dict[str, tuple[dict[str, Any], list[str], list[str], str]] = {
    "direct": ({}, ["promote"], [], "promoted"),
    "rejected": ({}, ["reject"], [], "rejected"),
    "review": ({}, ["review"], [], "promoted"),
    "approval": ({"require_approval": True}, ["promote"], [], "promoted"),
    "canary": ({"release": "canary"}, ["promote"], ["running", "promoted"], "promoted"),
    "rolled back": ({"release": "canary"}, ["promote"], ["running", "rolled_back"], "rolled_back"),
    "approved canary": ({"release": "canary", "require_approval": True}, ["promote"], ["promoted"], "promoted"),
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("kills", [1, 2], ids=["one kill", "two kills"])
def test_a_kill_after_any_change_loses_nothing(tmp_path: Path, way: str, kills: int) -> None:
    controller, script, releases, ending = _WAYS[way]
    own = {"retry_pause_seconds": 0, "release_poll_seconds": 1e-9, "max_attempts": kills + 1, **controller}
    commits = 0
    while True:
        commits += 1
        settings = load_settings(home=tmp_path / str(commits), controller=own)
        intake.take([ALERT], open_state(settings), settings)
        trainer = OnceTrainer()
        struck = 0
        for _ in range(kills):
            trainer.script, trainer.releases = list(script), list(releases)
            with killed_after(commits):
                try:
                    _to_its_end(settings, trainer)
                except Killed:
                    struck += 1
        trainer.script, trainer.releases = list(script), list(releases)
        (ended,) = _to_its_end(settings, trainer)
        assert ended.state == ending, f"killed {struck} times after change {commits}"
        assert ended.attempts <= struck + 1
        if not struck:
            return


_OUTCOMES = st.sampled_from(["promote", "reject", "review", "fail", "surprise", "stop", "kill"])


class Machine(RuleBasedStateMachine):
    """Alerts, people and a controller that is stopped and killed, in any order."""

    controller: dict[str, Any] = {}  # noqa: RUF012 - one per class
    resumes = False

    def __init__(self) -> None:
        super().__init__()
        # In memory: nothing is lost there that a kill of a process could lose, and nothing waits for the disk.
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        own = {"retry_pause_seconds": 0, "cooldown_seconds": 0, "release_poll_seconds": 1e-9, "max_attempts": 2}
        self.settings = load_settings(home=Path(self.folder.name), controller={**own, **self.controller})
        self.state = open_state(self.settings)
        self.trainer = OnceTrainer()
        self.loop = Loop(self.settings, self.state, self.trainer)
        self.ended: dict[int, str] = {}

    def teardown(self) -> None:
        """Whatever has happened: a controller that works brings everything to an end."""
        self.trainer.script, self.trainer.releases = [], ["promoted"] * 50
        _to_its_end(self.settings, self.trainer)
        assert not self.state.retrainings(states=OPEN)
        self.folder.cleanup()

    @rule()
    def alert(self) -> None:
        """Drift."""
        intake.take([ALERT], self.state, self.settings)

    @rule(outcome=_OUTCOMES)
    def work(self, outcome: str) -> None:
        """The controller takes the next retraining."""
        steps: dict[str, str | BaseException] = {
            "fail": PlumblineError("no disk"),
            "surprise": ZeroDivisionError("oh"),
            "stop": StoppedError("stopped"),
            "kill": Killed(),
        }
        self.trainer.script = [steps.get(outcome, outcome)]  # type: ignore[list-item]
        before = {each.id: each.attempts for each in self.state.retrainings(states=("queued",))}
        if outcome == "stop":
            self.loop._stopping.set()
        try:
            self.loop.run_once()
        except Killed:
            self.restart()
        if outcome == "stop":
            self.restart()
            assert before == {each.id: each.attempts for each in self.state.retrainings(states=("queued",))}

    @rule(step=st.sampled_from(["running", "promoted", "rolled_back"]))
    def judge(self, step: str) -> None:
        """A canary is looked at."""
        self.trainer.releases = [step]
        self.loop.follow_releases()

    @rule()
    def restart(self) -> None:
        """Another controller takes over."""
        self.loop = Loop(self.settings, self.state, self.trainer)
        self.loop.recover()

    @rule(verb=st.sampled_from(["approve", "reject", "cancel", "retry"]), number=st.integers(1, 4))
    def decide(self, verb: str, number: int) -> None:
        """A person decides about a retraining; wrong states are refused."""
        person = Decisions(self.settings, self.state, self.trainer, who="ann")
        self._allowed(lambda: getattr(person, verb)(number, "Because."))

    @rule()
    def trigger(self) -> None:
        """A person asks for a retraining."""
        person = Decisions(self.settings, self.state, self.trainer, who="ann")
        self._allowed(lambda: person.trigger("latest", AS_OF, "Because."))

    @invariant()
    def one_goes_on(self) -> None:
        """Of a model, one retraining at a time."""
        assert len(self.state.retrainings(states=OPEN)) <= 1

    @invariant()
    def what_has_ended_stays(self) -> None:
        """Final states are final, and whole."""
        for each in self.state.retrainings(states=FINAL):
            assert self.ended.setdefault(each.id, each.state) == each.state
            assert each.ended_at is not None
            assert each.child_pid is None
        assert set(self.ended) <= {each.id for each in self.state.retrainings(states=FINAL)}

    @invariant()
    def tries_are_counted(self) -> None:
        """Never more of them than are allowed."""
        for each in self.state.retrainings():
            assert 0 <= each.attempts <= self.settings.controller.max_attempts

    def _allowed(self, decision: Callable[[], object]) -> None:
        before = self.state.retrainings()
        try:
            decision()
        except UserError:
            assert self.state.retrainings() == before, "what is refused changes nothing"


class CanaryMachine(Machine):
    """The same with canaries that a person approves."""

    controller = {"release": "canary", "require_approval": True}  # noqa: RUF012 - one per class


_FEW = hypothesis_settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyOrder = Machine.TestCase
TestAnyOrder.settings = _FEW
TestAnyOrderWithCanaries = CanaryMachine.TestCase
TestAnyOrderWithCanaries.settings = _FEW
