"""A monitor that did not come to an answer says so."""

from __future__ import annotations

import logging

from monitoring.alerting import Subject, failure_of, runbook_url
from monitoring.sending import Receivers, send
from monitoring.window import Window
from plumbline.errors import PlumblineError
from plumbline.settings import Settings

_log = logging.getLogger(__name__)


def report_failure(
    settings: Settings, error: Exception, *, windows: list[Window], snapshot: str, receivers: Receivers
) -> None:
    """Writes down and sends a `MonitorFailed` alert; the error itself is for the caller to raise.

    A receiver that does not answer is logged: the error that the monitor failed by must not be hidden by it.
    """
    subject = Subject(
        model=settings.tracking.model_name,
        version="unknown",
        snapshot=snapshot,
        window=windows[0],
        policy=settings.monitoring.policy,
        runbook_url=runbook_url(settings, "docs/monitoring.md#a-monitor-has-failed"),
    )
    reason = str(error) if isinstance(error, PlumblineError) else f"{type(error).__name__}: {error}"
    try:
        send(settings, [failure_of(reason, subject)], receivers)
    except PlumblineError as undelivered:
        _log.warning("The alert of the failed monitor was not delivered either: %s", undelivered)
