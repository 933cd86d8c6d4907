"""What to do about an alert: act once, and say why not otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from plumbline.alerts.webhook import Alert, WebhookMessage
from plumbline.controller.state import OPEN, ControllerState, Retraining
from plumbline.errors import UserError
from plumbline.instants import parse_instant
from plumbline.settings import Settings

Action = Literal["retraining", "joined", "cooldown", "already_done", "recorded", "resolved"]
"""`retraining`: it started one. `joined`: one about the same model is under way. `cooldown`: one ended a moment
ago. `already_done`: the same postings as of the same instant were trained on before. `recorded`: not an alert
that a retraining answers. `resolved`: it has ended."""


def take(message: WebhookMessage, state: ControllerState, settings: Settings) -> list[dict[str, str | int | None]]:
    """Takes a delivery.

    Returns:
        Per alert: `fingerprint`, `alertname`, `action`, `retraining` (its number, where there is one).

    Raises:
        UserError: An annotation that chooses what to train on cannot be read.
    """
    plans = [(alert, _instants(alert, settings)) for alert in message.alerts]
    answers: list[dict[str, str | int | None]] = []
    for alert, (as_of, not_before) in plans:
        action, retraining = _decide(alert, as_of, state, settings)
        if action == "retraining":
            retraining = state.add_retraining(
                model=_model(alert, settings),
                fingerprint=alert.fingerprint,
                reason=alert.annotations.get("summary", alert.name),
                snapshot=alert.annotations.get("snapshot_id", "latest"),
                as_of=as_of,
                not_before=not_before,
            )
        state.save_alert(alert, action=action, retraining=retraining)
        answers.append(
            {"fingerprint": alert.fingerprint, "alertname": alert.name, "action": action, "retraining": retraining}
        )
    return answers


def _decide(alert: Alert, as_of: datetime, state: ControllerState, settings: Settings) -> tuple[Action, int | None]:
    if alert.status == "resolved":
        return "resolved", None
    if alert.name not in settings.controller.act_on:
        return "recorded", None
    earlier = state.retrainings(model=_model(alert, settings))
    under_way = [each for each in earlier if each.state in OPEN]
    if under_way:
        return "joined", under_way[-1].id
    snapshot = alert.annotations.get("snapshot_id", "latest")
    done = [each for each in earlier if _same_work(each, snapshot, as_of)]
    if done:
        return "already_done", done[-1].id
    ended = [each for each in earlier if each.ended_at is not None]
    cooldown = timedelta(seconds=settings.controller.cooldown_seconds)
    for each in reversed(ended):
        if each.ended_at is not None and datetime.now(UTC) - each.ended_at < cooldown:
            return "cooldown", each.id
    return "retraining", None


def _same_work(earlier: Retraining, snapshot: str, as_of: datetime) -> bool:
    # "latest" names other postings each time, and a failed try has not done its work.
    same = earlier.snapshot == snapshot and earlier.as_of == as_of and snapshot != "latest"
    return same and earlier.state in ("promoted", "rejected", "rolled_back")


def _model(alert: Alert, settings: Settings) -> str:
    return alert.labels.get("model", settings.tracking.model_name)


def _instants(alert: Alert, settings: Settings) -> tuple[datetime, datetime | None]:
    """`as_of` of the retraining, and when it may start."""
    controller = settings.controller
    given = _time(alert, "as_of")
    window_end = _time(alert, "window_end")
    if given is not None:
        as_of = given
    elif window_end is not None:
        as_of = window_end + timedelta(days=controller.label_wait_days)
    else:
        as_of = datetime.now(UTC)
    return as_of, as_of if controller.wait_for_as_of else None


def _time(alert: Alert, name: str) -> datetime | None:
    text = alert.annotations.get(name)
    if text is None:
        return None
    try:
        return parse_instant(text)
    except UserError as error:
        raise UserError(f"The annotation {name} of alert {alert.name}: {error}") from error
