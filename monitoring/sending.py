"""Sends what a monitor run has to say."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from monitoring.shared import open_monitoring_store
from plumbline.alerts.delivery import AlertOutbox, DeliveryPolicy
from plumbline.alerts.webhook import Alert, build_message
from plumbline.errors import DependencyError
from plumbline.settings import Settings
from plumbline.settings.monitoring import AlertReceiver

Receivers = Sequence[AlertReceiver]
_log = logging.getLogger(__name__)


def outbox(settings: Settings) -> AlertOutbox:
    """The monitors' outbox."""
    monitoring = settings.monitoring
    policy = DeliveryPolicy(
        attempts=monitoring.delivery_attempts,
        timeout_seconds=monitoring.delivery_timeout_seconds,
        active_for=timedelta(hours=monitoring.alert_active_hours),
    )
    return AlertOutbox(open_monitoring_store(settings), policy, receivers=monitoring.receivers)


def receivers_of(settings: Settings, urls: Sequence[str] | None) -> Receivers:
    """Those at the addresses, known ones with their tokens and formats; without addresses, all that are known."""
    known = {receiver.url: receiver for receiver in settings.monitoring.receivers}
    return [known.get(url, AlertReceiver(url=url)) for url in urls] if urls else list(known.values())


def send(settings: Settings, alerts: list[Alert], receivers: Receivers) -> list[str]:
    """Writes the alerts down and sends them, after those that still wait from earlier runs.

    Args:
        settings: Where the outbox lies and who receives.
        alerts: Alerts of one run; none sends what waits only.
        receivers: Who they are for; none writes the alerts down as a record only.

    Returns:
        Keys of the delivered messages.

    Raises:
        DependencyError: A receiver did not take them; they are kept, unless the store is away too.
        UserError: A receiver refused them, or its address is none.
    """
    box = outbox(settings)
    if alerts:
        message = build_message(alerts, receiver=settings.monitoring.alert_receiver)
        try:
            box.write(message, receivers)
        except DependencyError as error:
            # The store is away. That may be the very thing that the alert is about: it must not wait for it.
            if not receivers:
                raise
            _log.warning("The alert is sent without being kept: %s", error)
            box.send_now(message, receivers)
            return []
    return box.flush()
