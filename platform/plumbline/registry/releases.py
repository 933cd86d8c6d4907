"""Releases: how a version is let in beside the champion, kept in the registry for every replica and person to see.

A release is an alias and tags. `canary` on the registered model means that a share of the clients gets this version,
`shadow` that copies of their queries do; the version's tags say which release it is, since when, at which weight,
judged by which limits, and in the end what came of it. Tags are written before the alias at the start and before its
removal at the end: a process killed between the two leaves no release without its facts, and a release whose outcome
is written is over, whatever alias is left.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from plumbline.errors import DependencyError, MissingInputError, UserError
from plumbline.registry.audit import AuditEntry, AuditLog
from plumbline.registry.models import CANARY, CHAMPION, SHADOW, ModelRegistry, ModelVersion
from plumbline.registry.promotable import require_loadable, require_verdict
from plumbline.registry.tracking import require_server
from plumbline.settings import Settings
from plumbline.settings.serving_release import ReleaseSettings

Ending = Literal["promoted", "rolled_back", "aborted"]
"""`rolled_back`: the platform took it out, since it erred, was late or answered worse. `aborted`: a person did."""

TAG_ID = "plumbline.release.id"
TAG_STARTED = "plumbline.release.started_at"
TAG_WEIGHT = "plumbline.release.weight"
TAG_LIMITS = "plumbline.release.limits"
TAG_ENDING = "plumbline.release.ending"
TAG_ENDED = "plumbline.release.ended_at"
TAG_WHY = "plumbline.release.why"
TAG_VERDICT_SAID = "plumbline.release.verdict"

_PREFIX = "release "
_Entries = list[AuditEntry]


@dataclass(frozen=True)
class Release:
    """One version's way in."""

    id: str
    """Made up at the start; salts the assignment of clients."""

    version: str
    canary: bool
    """Whether clients get its answers."""

    shadow: bool
    """Whether it gets copies of the champion's queries."""

    weight: float
    """Share of the clients, 0 to 1; of no account without `canary`."""

    started_at: datetime
    limits: ReleaseSettings = field(repr=False)
    """What it is judged by."""

    ending: Ending | None = None
    """None while it goes on."""

    ended_at: datetime | None = None
    why: str | None = None
    """Reason of the ending."""

    verdict: str | None = field(default=None, compare=False)
    """The judge's last, as `keep_verdict` was told it."""

    def to_json(self) -> dict[str, Any]:
        """Plain form, times as ISO 8601 text, without the limits."""
        return {
            "id": self.id,
            "version": self.version,
            "state": self.ending or "running",
            "canary": self.canary,
            "shadow": self.shadow,
            "weight": self.weight if self.canary else 0.0,
            "started_at": self.started_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "why": self.why,
            "verdict": self.verdict,
        }


class Releases:
    """Starts, changes and ends releases of the registered model. At most one goes on at a time.

    Every method raises `DependencyError` where the registry does not answer.
    """

    def __init__(self, settings: Settings, registry: ModelRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._audit = AuditLog(settings)

    def current(self) -> Release | None:
        """The release that goes on; None where there is none. One read of the registry without one, two with."""
        with self._answering():
            aliases = self._registry.aliases()
            version = aliases.get(CANARY) or aliases.get(SHADOW)
            if version is None:
                return None
            release = _release(self._registry.get(version))
        return release if release is not None and release.ending is None else None

    def latest_of(self, version: str) -> Release | None:
        """The latest release of a version, over or not; None where it never had one.

        Raises:
            MissingInputError: There is no such version.
        """
        with self._answering():
            return _release(self._registry.get(version))

    def start(self, version: str, reason: str, *, weight: float | None, shadow: bool) -> Release:
        """Lets a version in.

        Args:
            version: Version number.
            reason: Why, for the audit log.
            weight: Share of the clients that get its answers; None is none of them.
            shadow: Whether it gets copies of the champion's queries.

        Raises:
            MissingInputError: There is no such version, it was not judged or has no files that serving loads, or
                there is no champion to compare it with.
            GateRefusedError: The gate rejected it.
            UserError: It is the champion, another release goes on, or neither weight nor shadow is given.
        """
        if weight is None and not shadow:
            raise UserError("A release needs a weight, or to be a shadow.")
        _require_share(weight)
        limits = self._settings.serving.release
        with self._answering(), self._registry.changing():
            found = self._registry.get(version)
            self._require_startable(found)
            release_id = uuid.uuid4().hex[:12]
            self._registry.remove_tags(version, [TAG_ENDING, TAG_ENDED, TAG_WHY, TAG_VERDICT_SAID])
            self._registry.set_tags(
                version,
                {
                    TAG_ID: release_id,
                    TAG_STARTED: datetime.now(UTC).isoformat(),
                    TAG_WEIGHT: repr(weight or 0.0),
                    TAG_LIMITS: limits.model_dump_json(),
                },
            )
            self._registry.point(CANARY, version if weight is not None else None)
            self._registry.point(SHADOW, version if shadow else None)
        kind = {"canary": weight is not None, "shadow": shadow, "weight": weight or 0.0}
        numbers = {"release": release_id, **kind, "limits": limits.model_dump(mode="json")}
        self._log("start", version, reason, numbers)
        return self._known(version)

    def set_weight(self, weight: float, reason: str) -> Release:
        """Changes the share of the clients; a shadow becomes a canary beside that.

        Raises:
            MissingInputError: No release goes on.
            UserError: The weight is no share.
        """
        _require_share(weight)
        with self._answering(), self._registry.changing():
            release = self.require_current()
            self._registry.set_tags(release.version, {TAG_WEIGHT: repr(weight)})
            self._registry.point(CANARY, release.version)
        before = release.weight if release.canary else 0.0
        self._log("set-weight", release.version, reason, {"release": release.id, "before": before, "weight": weight})
        return self._known(release.version)

    def promote(self, reason: str, numbers: Mapping[str, Any] | None = None) -> Release:
        """Makes the version of the release the champion, and ends the release.

        Raises:
            MissingInputError: No release goes on.
            GateRefusedError: The gate has rejected the version meanwhile.
        """
        release = self.require_current()
        with self._answering():
            self._registry.promote(release.version, reason, numbers={"release": release.id, **(numbers or {})})
            self._end(release, "promoted", reason)
        self._log("promote", release.version, reason, {"release": release.id, **(numbers or {})})
        return self._known(release.version)

    def abort(self, reason: str) -> Release:
        """Takes the version out again, by a person's wish.

        Raises:
            MissingInputError: No release goes on.
        """
        release = self.require_current()
        self.end(release.id, release.version, "aborted", reason)
        return self._known(release.version)

    def end(
        self,
        release_id: str,
        version: str,
        ending: Literal["rolled_back", "aborted"],
        reason: str,
        *,
        numbers: Mapping[str, Any] | None = None,
        who: str | None = None,
    ) -> bool:
        """Ends this release and no other; what another has ended already stays as it is.

        Returns:
            Whether it was this call that ended it.
        """
        with self._answering(), self._registry.changing():
            try:
                release = _release(self._registry.get(version))
            except MissingInputError:
                return False  # it was deleted, and its aliases with it
            if release is None or release.id != release_id or release.ending is not None:
                return False
            self._end(release, ending, reason)
        what = {"rolled_back": "roll-back", "aborted": "abort"}[ending]
        self._log(what, version, reason, {"release": release_id, **(numbers or {})}, who=who)
        return True

    def note(
        self, what: str, release: Release, reason: str, numbers: Mapping[str, Any], who: str | None = None
    ) -> None:
        """Writes what was found about a release to the audit log. Needs no registry."""
        self._log(what, release.version, reason, {"release": release.id, **numbers}, who=who)

    def keep_verdict(self, release: Release, said: str, why: str, numbers: Mapping[str, Any]) -> None:
        """Keeps a verdict with the release and in the audit log."""
        with self._answering():
            self._registry.set_tags(release.version, {TAG_VERDICT_SAID: said})
        self.note("verdict", release, why, numbers)

    def history(self) -> _Entries:
        """Every change of every release, and every verdict, oldest first."""
        subject = f"{self._registry.name}/"
        return [
            entry
            for entry in self._audit.read()
            if entry.what.startswith(_PREFIX) and entry.subject.startswith(subject)
        ]

    def require_current(self) -> Release:
        """The release that goes on.

        Raises:
            MissingInputError: There is none.
        """
        release = self.current()
        if release is None:
            raise MissingInputError(
                "No release goes on. Start one with `plumbline release start VERSION --reason ...`; "
                "`plumbline models list` shows the versions."
            )
        return release

    def _require_startable(self, found: ModelVersion) -> None:
        version = found.version
        require_loadable(self._registry.fetch(version))  # first: no override helps against it
        require_verdict(found)
        champion = self._registry.version_of(CHAMPION)
        if champion is None:
            raise MissingInputError(
                f"There is no champion to compare version {version} with. Make it the first one with "
                f"`plumbline models promote {version} --reason ...`."
            )
        if champion == version:
            raise UserError(f"Version {version} is the champion: there is nothing to release.")
        other = self.current()
        if other is not None:
            raise UserError(
                f"The release of version {other.version} goes on since {other.started_at.isoformat(timespec='seconds')}"
                ". Promote it or take it out first: `plumbline release promote --reason ...` or `plumbline release "
                "abort --reason ...`."
            )

    def _end(self, release: Release, ending: Ending, reason: str) -> None:
        facts = {TAG_WHY: reason, TAG_ENDED: datetime.now(UTC).isoformat(), TAG_ENDING: ending}
        self._registry.set_tags(release.version, facts)
        for alias in (CANARY, SHADOW):
            if self._registry.version_of(alias) == release.version:
                self._registry.point(alias, None)

    def _known(self, version: str) -> Release:
        release = self.latest_of(version)
        assert release is not None  # its tags were written a moment ago
        return release

    def _log(self, what: str, version: str, reason: str, numbers: Mapping[str, Any], *, who: str | None = None) -> None:
        subject = f"{self._registry.name}/{version}"
        self._audit.append(f"{_PREFIX}{what}", subject=subject, why=reason, numbers=numbers, who=who)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """A server that is away is found out within seconds, where MLflow's own client retries for minutes."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        require_server(self._settings)
        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            said = str(error).partition("\n")[0]
            raise DependencyError(f"The model registry does not answer ({said}). Is MLflow running?") from error


def _release(found: ModelVersion) -> Release | None:
    tags = found.tags
    if TAG_ID not in tags:
        return None
    ending = tags.get(TAG_ENDING)
    if ending is None and CHAMPION in found.aliases:
        ending = "promoted"  # by `models promote`, or by a process that was killed before it wrote the ending
    return Release(
        id=tags[TAG_ID],
        version=found.version,
        canary=CANARY in found.aliases,
        shadow=SHADOW in found.aliases,
        weight=float(tags[TAG_WEIGHT]),
        started_at=datetime.fromisoformat(tags[TAG_STARTED]),
        limits=_limits(tags[TAG_LIMITS]),
        ending=cast(Ending | None, ending),
        ended_at=datetime.fromisoformat(tags[TAG_ENDED]) if TAG_ENDED in tags else None,
        why=tags.get(TAG_WHY),
        verdict=tags.get(TAG_VERDICT_SAID),
    )


def _limits(text: str) -> ReleaseSettings:
    """Limits that another release of Plumbline may have written: what this one does not know is left out."""
    import json

    known = {name: value for name, value in json.loads(text).items() if name in ReleaseSettings.model_fields}
    return ReleaseSettings(**known)


def _require_share(weight: float | None) -> None:
    if weight is not None and not 0.0 <= weight <= 1.0:
        raise UserError(f"The weight is the share of the clients that get the version: from 0 to 1, not {weight:g}.")
