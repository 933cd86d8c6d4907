"""The work of `plumbline monitor run`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitoring.monitor import Monitor
from monitoring.policy import load_policy
from monitoring.served import load_served
from monitoring.window import Window
from plumbline.alerts.webhook import Alert
from plumbline.settings import Settings


def judge_windows(
    settings: Settings,
    *,
    snapshot: str,
    windows: list[Window],
    model: str,
    policy_name: str,
    labels_as_of: datetime | None,
    html: bool,
) -> tuple[list[dict[str, Any]], list[Alert]]:
    """Judges the windows.

    Returns:
        Per window its record, and all alerts.

    Raises:
        PlumblineError: The model, the snapshot, the policy or the features are not there.
    """
    policy = load_policy(policy_name)
    served = load_served(settings, alias_or_version=model, snapshot=snapshot)
    monitor = Monitor(settings, served, policy, html=html)
    results = monitor.run(windows, labels_as_of=labels_as_of)
    return [result.to_json() for result in results], [alert for result in results for alert in result.alerts]
