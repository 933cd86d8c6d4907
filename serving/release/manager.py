"""One replica's part in a release: loads the version, assigns clients, judges, takes it out.

What is to be served is said by the registry alone, which a thread of the manager's asks as the champion's alias is
asked. A breach stops the canary on this replica at once, on the event loop; the thread then ends the release in the
registry, trying again for as long as that is away, and the other replicas follow at their next look.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from typing import Any, Literal, Protocol

from plumbline.errors import DependencyError, MissingInputError, PlumblineError
from plumbline.registry.audit import whoami
from plumbline.registry.models import CANARY, SHADOW
from plumbline.registry.releases import Release
from plumbline.settings import Settings
from serving.engine.lane import Lane
from serving.engine.query import Query, Role
from serving.engine.release_hook import Outcome
from serving.engine.served_model import ModelSource, ServedModel
from serving.release.assignment import Assignment, key_of
from serving.release.collector import Figures
from serving.release.monitor import Breach, Monitor
from serving.release.watched import Deaths, WatchedModel

_STOP_SECONDS = 5.0
_HANG_SECONDS = 5.0
_HANG_BUDGETS = 20
"""A call of a released version that has run for so long, and for so many budgets, hangs. It is then out before the
replica is replaced for hanging, and its successor does not load it again."""

_DEATHS = 2
"""So many processes may die while they hold a release; the next one ends it. One may have been evicted."""

_LOAD_TRIES = 3
"""A version whose files are bad is not tried for ever. A store that is away is: it says nothing of the version."""

_log = logging.getLogger(__name__)


class ReleaseState(Protocol):
    """The registry's side of releases; `plumbline.registry.releases.Releases` is one. Called from one thread."""

    def current(self) -> Release | None:
        """The release that goes on."""
        ...

    def latest_of(self, version: str) -> Release | None:
        """The latest release of a version, over or not; `MissingInputError` where there is no such version."""
        ...

    def end(
        self,
        release_id: str,
        version: str,
        ending: Literal["rolled_back", "aborted"],
        reason: str,
        *,
        numbers: dict[str, Any] | None = None,
        who: str | None = None,
    ) -> bool:
        """Ends it, unless that was done already."""
        ...

    def note(
        self, what: str, release: Release, reason: str, numbers: dict[str, Any], *, who: str | None = None
    ) -> None:
        """Writes to the audit log."""
        ...


@dataclasses.dataclass(slots=True)
class _Rollback:
    """A release that this replica has stopped and the registry does not know about yet."""

    release: Release
    breach: Breach
    noted: bool = False


class ReleaseManager:
    """Implements `ReleaseHook` for one lane.

    Args:
        settings: How often the registry is asked.
        lane: Gets canary and shadow.
        state: What the registry knows.
        models: Where versions are loaded from.
    """

    def __init__(self, settings: Settings, lane: Lane, state: ReleaseState, models: ModelSource) -> None:
        self._lane = lane
        self._state = state
        self._models = models
        self._deaths = Deaths(settings.home / "serving" / lane.name)
        self._held: str | None = None
        self._watched: WatchedModel | None = None
        self._poll_seconds = settings.serving.alias_poll_seconds
        self._who = f"replica {whoami()}"
        self._lock = threading.Lock()
        self._release: Release | None = None
        self._served: ServedModel | None = None
        self._assignment: Assignment | None = None
        self._monitor: Monitor | None = None
        self._shadow_errors = 0
        self._stopped_here: set[str] = set()
        self._rollbacks: list[_Rollback] = []
        self._load_failures: dict[str, int] = {}
        self._figures = Figures()
        self._away = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"release-{lane.name}", daemon=True)

    def start(self) -> None:
        """Takes part in releases from now on."""
        self._lane.release = self
        self._thread.start()

    def stop(self) -> None:
        """Takes part no longer; a rollback that the registry does not know yet is tried once more."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._hold(None)
        for each in self._rollbacks:
            _log.error("The registry never learnt that version %s was taken out here.", each.release.version)

    def role_of(self, query: Query) -> Role:
        """See `ReleaseHook`."""
        assignment = self._assignment
        return "canary" if assignment is not None and assignment.takes(key_of(query)) else "champion"

    def shadows(self, query: Query) -> bool:  # noqa: ARG002 - every query may be copied; the lane does it when idle
        """See `ReleaseHook`."""
        return self._lane.variants.shadow is not None

    def observe(self, outcome: Outcome) -> None:
        """See `ReleaseHook`."""
        figures, monitor = self._figures, self._monitor
        figures.errors[outcome.role] += outcome.error is not None
        if outcome.role == "shadow":
            self._observe_shadow(outcome)
        elif monitor is not None:
            served = self._served
            if outcome.role == "canary" and (served is None or outcome.version != served.version):
                return  # of an earlier release
            breach = monitor.observe(outcome, time.monotonic())
            if breach is not None:
                self._take_out(breach)

    def figures(self) -> Figures:
        """Counts, and how the release stands, for the metrics."""
        assignment, monitor = self._assignment, self._monitor
        self._figures.weight = 0.0 if assignment is None else assignment.weight
        self._figures.log_evidence = {} if monitor is None else monitor.numbers()["log_evidence"]
        return self._figures

    def _observe_shadow(self, outcome: Outcome) -> None:
        self._shadow_errors = self._shadow_errors + 1 if outcome.error is not None else 0
        self._figures.shadow_agrees += outcome.label is not None and outcome.label == outcome.champion_label
        release = self._release
        if release is not None and self._shadow_errors >= release.limits.guard_errors:
            numbers = {"errors_in_a_row": self._shadow_errors}
            self._take_out(Breach(f"The shadow failed on {self._shadow_errors} requests in a row.", numbers))

    def _take_out(self, breach: Breach) -> None:
        """Stops the release here, now; the thread tells the registry."""
        with self._lock:
            release = self._release
            if release is None or release.id in self._stopped_here:
                return
            self._stopped_here.add(release.id)
            self._rollbacks.append(_Rollback(release, breach))
            self._figures.rollbacks += 1
            self._set(None, None)
        _log.error("Version %s was taken out: %s %s", release.version, breach.why, breach.numbers)
        self._wake.set()

    def _set(self, release: Release | None, served: ServedModel | None) -> None:
        """Makes this the release that queries see. The lock is held."""
        if release is None or served is None:
            self._assignment = None
            self._monitor = None
            self._lane.variants.canary = self._lane.variants.shadow = None
            self._release = self._served = None
            return
        if self._release is None or self._release.id != release.id:
            self._monitor = Monitor(release.limits, budget_seconds=self._lane.budget_seconds)
            self._shadow_errors = 0
        self._release, self._served = release, served
        self._lane.variants.canary = dataclasses.replace(served, alias=CANARY) if release.canary else None
        self._lane.variants.shadow = dataclasses.replace(served, alias=SHADOW) if release.shadow else None
        self._assignment = Assignment(release.id, release.weight) if release.canary else None

    def _work(self) -> None:
        while True:
            self._step()
            if self._stop.is_set():
                return
            self._wake.wait(self._poll_seconds)
            self._wake.clear()

    def _step(self) -> None:
        try:
            self._look_for_a_hang()
            self._tell_registry()
            if not self._stop.is_set():
                self._follow(self._state.current())
            self._away = False
        except DependencyError as error:
            if not self._away:
                _log.warning("Releases are not followed until the registry answers again: %s", error)
            self._away = True
        except Exception:  # noqa: BLE001 - see below
            # Whatever it was, the next look may go better, and a replica without this thread would roll nothing back.
            _log.exception("A look at the release failed; the next one comes.")

    def _tell_registry(self) -> None:
        for each in list(self._rollbacks):
            release, breach = each.release, each.breach
            if not each.noted:
                self._state.note("breach", release, breach.why, breach.numbers, who=self._who)
                each.noted = True
            self._state.end(
                release.id, release.version, "rolled_back", breach.why, numbers=breach.numbers, who=self._who
            )
            self._rollbacks.remove(each)
            self._hold(None)

    def _follow(self, release: Release | None) -> None:
        if release is None:
            self._let_go()
            return
        if release.id in self._stopped_here or release == self._release:
            return
        died = self._hold(release.id)
        if died >= _DEATHS:
            why = f"{died} processes of this replica died while they held version {release.version}."
            self._refuse(release, Breach(why, {"died": died}))
            return
        served = self._served
        if served is None or served.version != release.version:
            loaded = self._load(release)
            if loaded is None:
                return
            served = loaded
        with self._lock:
            if release.id not in self._stopped_here:
                self._set(release, served)
        _log.warning(
            "Release %s: version %s, canary %s, weight %g, shadow %s.",
            release.id, release.version, release.canary, release.weight, release.shadow,
        )  # fmt: skip

    def _let_go(self) -> None:
        """The release is over. Once promoted, its clients keep its answers until the champion is that version."""
        mine = self._release
        if mine is None:
            return
        if self._lane.variants.champion.current.version != mine.version:
            try:
                ended = self._state.latest_of(mine.version)
            except MissingInputError:
                _log.error("Version %s was deleted while it was released; it is taken out.", mine.version)
                ended = None
            if ended is not None and ended.id == mine.id and ended.ending == "promoted":
                return
        with self._lock:
            self._set(None, None)
        self._hold(None)
        _log.warning("Release %s of version %s is over.", mine.id, mine.version)

    def _load(self, release: Release) -> ServedModel | None:
        """The version, warmed up; None if it does not load. After some tries the release ends for it."""
        try:
            served = self._models.load(release.version)
            self._lane.warm_up(served)
        except DependencyError:
            self._figures.failed_loads += 1
            raise
        except Exception as error:  # noqa: BLE001 - whatever a broken version raises must leave the champion serving
            self._figures.failed_loads += 1
            failures = self._load_failures[release.id] = self._load_failures.get(release.id, 0) + 1
            if not isinstance(error, PlumblineError):
                _log.exception("Version %s does not load.", release.version)
            if failures < _LOAD_TRIES:
                return None
            why = f"Version {release.version} does not load: {type(error).__name__}: {error}"
            self._refuse(release, Breach(why, {"tries": failures}))
            return None
        self._watched = WatchedModel(served.model)
        return dataclasses.replace(served, model=self._watched)

    def _refuse(self, release: Release, breach: Breach) -> None:
        """Ends a release that no query has seen here."""
        with self._lock:
            self._stopped_here.add(release.id)
            self._rollbacks.append(_Rollback(release, breach))
            self._figures.rollbacks += 1
        self._hold(None)
        self._wake.set()

    def _hold(self, release_id: str | None) -> int:
        """This process holds this release and no other; gives how many died holding it."""
        if release_id == self._held:
            return 0
        before, self._held = self._held, release_id
        try:
            if before is not None:
                self._deaths.end(before)
            return 0 if release_id is None else self._deaths.begin(release_id)
        except OSError:
            _log.exception("Whether a process dies with the release cannot be remembered.")
            return 0

    def _look_for_a_hang(self) -> None:
        watched = self._watched
        busy = 0.0 if watched is None else watched.busy_seconds
        if self._release is not None and busy > max(_HANG_SECONDS, _HANG_BUDGETS * self._lane.budget_seconds):
            self._take_out(Breach(f"The version has been computing one batch for {busy:.0f} s.", {"seconds": busy}))
