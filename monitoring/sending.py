"""Sends what a monitor run has to say."""

from __future__ import annotations

from datetime import timedelta

from monitoring.shared import open_monitoring_store
from plumbline.alerts.delivery import AlertOutbox, DeliveryPolicy
from plumbline.alerts.webhook import Alert, build_message
from plumbline.settings import Settings


def outbox(settings: Settings) -> AlertOutbox:
    """The monitors' outbox."""
    monitoring = settings.monitoring
    policy = DeliveryPolicy(
        attempts=monitoring.delivery_attempts,
        timeout_seconds=monitoring.delivery_timeout_seconds,
        form=monitoring.alert_format,
        active_for=timedelta(hours=monitoring.alert_active_hours),
    )
    return AlertOutbox(open_monitoring_store(settings), policy)


def send(settings: Settings, alerts: list[Alert], *, url: str | None) -> list[str]:
    """Writes the alerts down and sends them, after those that still wait from earlier runs.

    Args:
        settings: Where the outbox lies and who receives.
        alerts: Alerts of one run; none sends what waits only.
        url: Receiver; None writes the alerts down as a record only.

    Returns:
        Keys of the delivered messages.

    Raises:
        DependencyError: The receiver did not take them; they are kept.
        UserError: The receiver refused them, or the address is none.
    """
    box = outbox(settings)
    if alerts:
        box.write(build_message(alerts, receiver=settings.monitoring.alert_receiver), url=url)
    return box.flush()
