"""What to do about an alert: act once, and say why not otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from plumbline.alerts.reading import UnreadableAlert
from plumbline.alerts.webhook import Alert
from plumbline.controller.records import OPEN, Retraining
from plumbline.controller.state import ControllerState, Writer
from plumbline.errors import UserError
from plumbline.instants import parse_instant
from plumbline.settings import Settings

Action = Literal[
    "retraining", "joined", "cooldown", "already_done", "recorded", "other_model", "resolved", "unreadable"
]
"""`retraining`: it started one. `joined`: one about the same model is under way. `cooldown`: one ended a moment
ago. `already_done`: the same postings as of the same instant were trained on before. `recorded`: not an alert
that a retraining answers. `other_model`: about a model that this controller does not retrain. `resolved`: it has
ended. `unreadable`: it, or what it says of the training, cannot be read."""

FURTHEST = timedelta(days=366)
"""How far after the present a window may end. Generated and replayed postings may be later than the clock by weeks; a
retraining as of a later instant would wait for years, or leave features that are dated after all that follows."""

_LONGEST_REASON = 1000
"""Characters. The reason becomes an argument of a command, and a process takes 128 KiB of each at most."""

_SNAPSHOT = re.compile(r"latest|[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Taken:
    """What was done about one alert of a delivery, and why."""

    fingerprint: str
    alertname: str
    action: Action
    retraining: int | None
    why: str


@dataclass(frozen=True)
class _Wanted:
    """The retraining that an alert asks for."""

    snapshot: str
    as_of: datetime


def take(delivery: Sequence[Alert | UnreadableAlert], state: ControllerState, settings: Settings) -> list[Taken]:
    """Takes a delivery, in one transaction; returns what was done about each alert, in its order.

    Raises:
        DependencyError: The state cannot be written; nothing was taken, and the delivery may be sent again.
    """
    with state.writing() as writer:
        desk = _Desk(writer, settings)
        taken = [desk.take(alert) for alert in delivery]
        writer.forget_the_oldest()
    return taken


def reason_of(text: str) -> str:
    """A text as the reason of a retraining: one line without control characters, of a bounded length."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"


class _Desk:
    """Decides about the alerts of one delivery, each knowing what came of those before it."""

    def __init__(self, writer: Writer, settings: Settings) -> None:
        self._writer = writer
        self._settings = settings.controller
        self._model = settings.tracking.model_name
        self._earlier = writer.retrainings(self._model)

    def take(self, alert: Alert | UnreadableAlert) -> Taken:
        action, retraining, why = self._decide(alert)
        number = None if retraining is None else retraining.id
        self._writer.save_alert(alert, action=action, retraining=number, why=why)
        return Taken(alert.fingerprint, alert.name, action, number, why)

    def _decide(self, alert: Alert | UnreadableAlert) -> tuple[Action, Retraining | None, str]:
        if isinstance(alert, UnreadableAlert):
            return "unreadable", None, alert.why
        if alert.status == "resolved":
            return "resolved", None, "It is over."
        if alert.name not in self._settings.act_on:
            return "recorded", None, f"A retraining answers {', '.join(self._settings.act_on)} (controller.act_on)."
        model = alert.labels.get("model", self._model)
        if model != self._model:
            return (
                "other_model",
                None,
                (
                    f"This controller retrains {self._model}. One whose PLUMBLINE_TRACKING__MODEL_NAME names the "
                    "alert's model would retrain that."
                ),
            )
        try:
            wanted = self._wanted(alert)
        except UserError as error:
            return "unreadable", None, str(error)
        return self._answer(alert, wanted)

    def _answer(self, alert: Alert, wanted: _Wanted) -> tuple[Action, Retraining | None, str]:
        for each in reversed(self._earlier):
            if each.state in OPEN:
                return "joined", each, f"Retraining {each.id} is {each.state} and answers this alert, too."
        for each in reversed(self._earlier):
            if _same_work(each, wanted):
                return (
                    "already_done",
                    each,
                    (
                        f"Retraining {each.id} has trained on these postings as of this instant: {each.state}. "
                        "`plumbline controller trigger --reason ...` trains on them again."
                    ),
                )
        cooldown = timedelta(seconds=self._settings.cooldown_seconds)
        for each in reversed(self._earlier):
            if each.ended_at is not None and datetime.now(UTC) - each.ended_at < cooldown:
                return (
                    "cooldown",
                    each,
                    (
                        f"Retraining {each.id} has ended a moment ago; alerts start another from "
                        f"{(each.ended_at + cooldown).isoformat(timespec='seconds')} on. "
                        "`plumbline controller trigger --reason ...` starts one now."
                    ),
                )
        queued = self._writer.add_retraining(
            model=self._model,
            fingerprint=alert.fingerprint,
            reason=reason_of(alert.annotations.get("summary", "")) or alert.name,
            snapshot=wanted.snapshot,
            as_of=wanted.as_of,
            not_before=wanted.as_of if self._settings.wait_for_as_of else None,
        )
        self._earlier.append(queued)
        return "retraining", queued, f"Retraining {queued.id} is queued."

    def _wanted(self, alert: Alert) -> _Wanted:
        snapshot = alert.annotations.get("snapshot_id", "latest")
        if not _SNAPSHOT.fullmatch(snapshot):
            raise UserError(
                f"The annotation snapshot_id is not the id of a snapshot: {snapshot[:80]!r}. Give eight or more of its "
                "hexadecimal digits, or leave the annotation out to train on the latest."
            )
        given, window_end = _instant(alert, "as_of"), _instant(alert, "window_end")
        if given is not None:
            return _Wanted(snapshot, given)
        if window_end is not None:
            return _Wanted(snapshot, window_end + timedelta(days=self._settings.label_wait_days))
        return _Wanted(snapshot, datetime.now(UTC))


def _same_work(earlier: Retraining, wanted: _Wanted) -> bool:
    # "latest" names other postings each time, and a failed try has not done its work.
    same = earlier.snapshot == wanted.snapshot and earlier.as_of == wanted.as_of and wanted.snapshot != "latest"
    return same and earlier.state in ("promoted", "rejected", "rolled_back")


def _instant(alert: Alert, name: str) -> datetime | None:
    text: Any = alert.annotations.get(name)
    if text is None:
        return None
    try:
        instant = parse_instant(text[:80])
    except UserError as error:
        raise UserError(f"The annotation {name}: {error}") from error
    if instant > datetime.now(UTC) + FURTHEST:
        raise UserError(f"The annotation {name} lies more than a year ahead: {text[:80]}. Correct it.")
    return instant
