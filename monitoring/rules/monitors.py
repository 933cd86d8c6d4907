"""Alerts on the monitors: those that did not run, failed, or were not heard.

There is no rule on drift itself. The monitors send PostingDrift and ModelQualityDrop with what moved, since when and
where, which no rule could say; a rule on `plumbline_monitor_drift_breached` would only ring a second time.
"""

from __future__ import annotations

from monitoring.rules.model import Alert, Group
from monitoring.rules.parameters import MONITOR_INTERVAL
from monitoring.rules.thresholds import MISSED_RUNS

_LAST_RUN = "plumbline_monitor_last_run_timestamp_seconds"
# Results of versions that are no longer watched stay in the exporter for a while: only the model's newest counts.
_NEWEST = f"({_LAST_RUN} == on (namespace, model) group_left () max by (namespace, model) ({_LAST_RUN}))"
_OPEN = 'plumbline_controller_retrainings{state=~"queued|running|awaiting_approval|releasing"}'


def monitors_groups() -> list[Group]:
    """Silence, failure, undelivered alerts, drift that nobody answers."""
    return [Group("plumbline-monitors", [_STALE, _NEVER_RAN, _FAILED, _UNREADABLE, _WAITING, _UNANSWERED])]


_STALE = Alert(
    "MonitorStale",
    f"time() - max by (namespace, model) ({_LAST_RUN})\n"
    f"> on (namespace) group_left () {MISSED_RUNS} * {MONITOR_INTERVAL}",
    "5m",
    "critical",
    "No monitor of {{ $labels.model }} has finished for {{ $value | humanizeDuration }}.",
    "Drift would go unnoticed: silence is not health. Look at the monitor's last Jobs and their logs.",
)

_NEVER_RAN = Alert(
    "MonitorNeverRan",
    f"{MONITOR_INTERVAL}\n"
    'and on (namespace) sum by (namespace) (up{job="plumbline-exporter"}) > 0\n'
    f"unless on (namespace) sum by (namespace) ({_LAST_RUN})",
    "1d",
    "warning",
    "The exporter has no result of any monitor.",
    "No monitor has ever finished here, or its results cannot be read. Run one by hand: plumbline monitor run.",
)

_FAILED = Alert(
    # Not MonitorFailed: so the monitors call what they send themselves, once, when it happens.
    "MonitorResultMissing",
    f"plumbline_monitor_window_failed == 1\nand on (namespace, model, model_version) {_NEWEST}",
    "5m",
    "warning",
    "The last window of {{ $labels.model }} version {{ $labels.model_version }} could not be judged.",
    "It stays so until a window is judged. The summary of the monitor's own alert, MonitorFailed, says why.",
)

_UNREADABLE = Alert(
    "MonitorResultsUnreadable",
    "max by (namespace) (plumbline_monitor_store_up) == 0",
    "10m",
    "warning",
    "The exporter cannot read the monitors' results.",
    "The object store is away or refuses. The last known results are served on; newer ones are not seen.",
)

_WAITING = Alert(
    "MonitorAlertsWaiting",
    "max by (namespace) (plumbline_monitor_alerts_waiting) > 0",
    "15m",
    "critical",
    "{{ $value }} alerts of the monitors are not delivered.",
    "Nobody has heard them, the controller neither. They go out with the next monitor run; make the receiver "
    "reachable before.",
)

_UNANSWERED = Alert(
    "DriftUnanswered",
    f"(\n  max by (namespace, model) (plumbline_monitor_window_alerts > 0 and on (namespace, model, model_version) "
    f"{_NEWEST})\n"
    f"  and on (namespace, model) max by (namespace, model) ({_LAST_RUN})\n"
    "    > on (namespace) group_left () max by (namespace) (plumbline_controller_last_retraining_timestamp_seconds)\n"
    f")\nunless on (namespace) sum by (namespace) ({_OPEN}) > 0",
    "2h",
    "warning",
    "The last window of {{ $labels.model }} raised alerts, and no retraining has followed.",
    "The loop does not act by itself: the alert did not reach the controller, the postings were trained on before, "
    "or the cool-down is not over. `plumbline controller status` says which.",
)
