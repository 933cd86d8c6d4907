"""Reads a delivery of Alertmanager's webhook as it comes in: each alert by itself, so that one which cannot be read
takes no other with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from plumbline.alerts.webhook import Alert, Labels
from plumbline.errors import UserError
from plumbline.faults import wanted

MOST_ALERTS = 10_000
_LONGEST = 200
_FAULTS_TOLD = 3


class DeliveryRefusedError(UserError):
    """What came in is no delivery: sent again, it would be refused again."""


class TooManyAlertsError(DeliveryRefusedError):
    """A delivery of more than `MOST_ALERTS` alerts."""


@dataclass(frozen=True)
class UnreadableAlert:
    """An entry of a delivery that is no alert.

    Attributes:
        fingerprint: Its own, else a digest of its content.
        why: What is wrong with it, in a sentence.
        name: Its label `alertname`, as far as there is one.
        status: Its own, as far as there is one.
    """

    fingerprint: str
    why: str
    name: str = ""
    status: str = ""
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    starts_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class _Envelope(BaseModel):
    """What the controller needs of a delivery besides its alerts."""

    version: Literal["4"] = "4"
    alerts: list[Any]


def read_delivery(content: bytes) -> list[Alert | UnreadableAlert]:
    """The alerts of a delivery, in its order.

    Raises:
        DeliveryRefusedError: It is no JSON, or has no list of alerts.
        TooManyAlertsError: It has more than `MOST_ALERTS`.
    """
    try:
        return _read_all(json.loads(content))
    except RecursionError:
        raise DeliveryRefusedError("The JSON is nested too deeply: an alert has three levels.") from None
    except ValidationError as error:
        raise DeliveryRefusedError(f"Not an Alertmanager webhook payload, version 4: {_faults(error)}.") from error
    except ValueError as error:
        raise DeliveryRefusedError(f"Not JSON: {printable(str(error))}.") from error


def printable(text: str) -> str:
    """The text as it can be written as UTF-8: what is no character is shown by its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def _read_all(delivery: Any) -> list[Alert | UnreadableAlert]:
    envelope = _Envelope.model_validate(delivery)
    if not envelope.alerts:
        raise DeliveryRefusedError("Not an Alertmanager webhook payload, version 4: alerts: the list is empty.")
    if len(envelope.alerts) > MOST_ALERTS:
        raise TooManyAlertsError(
            f"The delivery has {len(envelope.alerts)} alerts, and at most {MOST_ALERTS} are taken. Set `max_alerts` in "
            "the receiver's webhook_config, or group by more labels."
        )
    return [_read(entry) for entry in envelope.alerts]


def _read(entry: Any) -> Alert | UnreadableAlert:
    try:
        alert = Alert.model_validate(entry)
        _require_text(alert)
    except ValidationError as error:
        return _unreadable(entry, f"{_faults(error)}.")
    except UnicodeEncodeError as error:
        return _unreadable(entry, f"It holds {printable(error.object[error.start])}, which is no character.")
    return alert


def _require_text(alert: Alert) -> None:
    """JSON can name halves of surrogate pairs, which no file, database or process takes."""
    texts = (*alert.labels, *alert.labels.values(), *alert.annotations, *alert.annotations.values())
    "".join((*texts, alert.fingerprint, alert.generator_url)).encode()


def _unreadable(entry: Any, why: str) -> UnreadableAlert:
    # Of whatever it is, any part may be missing, of another type, or no text.
    known = entry if isinstance(entry, dict) else {}
    labels = known.get("labels")
    name = labels.get("alertname") if isinstance(labels, dict) else None
    digest = hashlib.sha256(repr(entry).encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return UnreadableAlert(
        fingerprint=_text(known.get("fingerprint")) or digest,
        why=f"The alert cannot be read: {why}",
        name=_text(name),
        status=_text(known.get("status")),
    )


def _text(value: Any) -> str:
    return printable(value)[:_LONGEST] if isinstance(value, str) else ""


def _faults(error: ValidationError) -> str:
    found = [": ".join(filter(None, (".".join(map(str, each["loc"])), wanted(each)))) for each in error.errors()]
    more = f"; and {len(found) - _FAULTS_TOLD} more" if len(found) > _FAULTS_TOLD else ""
    return printable("; ".join(each[:_LONGEST] for each in found[:_FAULTS_TOLD]) + more)
