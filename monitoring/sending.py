"""Sends what a monitor run has to say."""

from __future__ import annotations

import logging
from datetime import timedelta

from monitoring.shared import open_monitoring_store
from plumbline.alerts.delivery import AlertOutbox, DeliveryPolicy
from plumbline.alerts.webhook import Alert, build_message
from plumbline.errors import DependencyError
from plumbline.settings import Settings

_log = logging.getLogger(__name__)


def outbox(settings: Settings) -> AlertOutbox:
    """The monitors' outbox."""
    monitoring = settings.monitoring
    policy = DeliveryPolicy(
        attempts=monitoring.delivery_attempts,
        timeout_seconds=monitoring.delivery_timeout_seconds,
        form=monitoring.alert_format,
        token_file=monitoring.alert_token_file,
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
        DependencyError: The receiver did not take them; they are kept, unless the store is away too.
        UserError: The receiver refused them, or the address is none.
    """
    box = outbox(settings)
    if alerts:
        message = build_message(alerts, receiver=settings.monitoring.alert_receiver)
        try:
            box.write(message, url=url)
        except DependencyError as error:
            # The store is away. That may be the very thing that the alert is about: it must not wait for it.
            if url is None:
                raise
            _log.warning("The alert is sent without being kept: %s", error)
            box.send_now(message, url=url)
            return []
    return box.flush()
