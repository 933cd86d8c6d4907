"""Alerts as Alertmanager takes them: `POST /api/v2/alerts`
(https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).

Alertmanager groups, silences and routes them, and posts its webhook payload to the controller and its other
receivers. It calls an alert resolved once its `endsAt` has passed; a monitor that still finds the same sends it again
with a later one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from plumbline.alerts.webhook import WebhookMessage

_PATH = "/api/v2/alerts"


def api_address(url: str) -> str:
    """The address that alerts are posted to, for an Alertmanager at `url`."""
    plain = url.rstrip("/")
    return plain if plain.endswith(_PATH) else plain + _PATH


def to_api(message: WebhookMessage, *, active_for: timedelta, now: datetime | None = None) -> list[dict[str, Any]]:
    """The message's alerts in the API's form.

    Args:
        message: What a monitor has to say.
        active_for: How long from now a firing alert stays active without being sent again.
        now: The present; None asks the clock. It counts from the sending, so that an alert that waited for its
            receiver does not arrive as resolved.
    """
    present = now or datetime.now(UTC)
    alerts = []
    for alert in message.alerts:
        firing = alert.status == "firing"
        ends = present + active_for if firing else min(alert.ends_at, present)
        # Postings of a replayed or generated stream may be later than the clock; an alert may not end before it starts.
        starts = min(alert.starts_at, present - timedelta(seconds=1), ends)
        entry: dict[str, Any] = {
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": starts.isoformat(),
            "endsAt": ends.isoformat(),
        }
        if alert.generator_url:
            entry["generatorURL"] = alert.generator_url
        alerts.append(entry)
    return alerts
