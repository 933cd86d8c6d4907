"""Alerts on what is up, and on the alerting itself."""

from __future__ import annotations

from monitoring.rules.model import Alert, Group, Severity
from monitoring.rules.parameters import EXPECTED, Component
from monitoring.rules.thresholds import RESTARTS


def platform_groups() -> list[Group]:
    """Components that are away, targets, restarts, alerting."""
    return [
        Group("plumbline-platform", [*(_down(*each) for each in _DOWN), _TARGET, _RESTARTING]),
        Group("plumbline-alerting", [_NOTIFICATIONS, _RULES]),
    ]


def _down(component: Component, name: str, severity: Severity, meaning: str) -> Alert:
    return Alert(
        name,
        f'{EXPECTED}{{component="{component}"}}\nunless on (namespace) up{{job="plumbline-{component}"}} == 1',
        # A first installation may take that long to have its model.
        "5m",
        severity,
        f"No pod of the {component} answers.",
        meaning,
        section="A component is down",
    )


_DOWN: tuple[tuple[Component, str, Severity, str], ...] = (
    ("serving", "ServingDown", "critical", "Clients get no predictions."),
    ("controller", "ControllerDown", "critical", "Alerts are not answered by retrainings; Alertmanager tries again."),
    ("exporter", "ExporterDown", "warning", "The monitors' results cannot be seen, and stale monitors go unnoticed."),
    ("alertmanager", "AlertmanagerDown", "critical", "Nobody is notified, the controller neither."),
)

_TARGET = Alert(
    "TargetDown",
    'up{job=~"plumbline-.+"} == 0',
    "10m",
    "warning",
    "{{ $labels.instance }} of {{ $labels.job }} cannot be scraped.",
    "A pod is not ready, hangs, or a network policy is in the way. Others of the same component may still answer.",
)

_RESTARTING = Alert(
    "ProcessRestarting",
    f'changes(process_start_time_seconds{{job=~"plumbline-.+"}}[1h]) >= {RESTARTS}',
    "0m",
    "warning",
    "{{ $labels.instance }} of {{ $labels.job }} was started {{ $value }} times within an hour.",
    "It crashes, is killed for memory, or fails its liveness probe: see the last state of its container.",
)

_NOTIFICATIONS = Alert(
    "AlertNotificationsFailing",
    "sum by (namespace, integration) "
    '(increase(alertmanager_notifications_failed_total{job="plumbline-alertmanager"}[10m])) > 0',
    "10m",
    "critical",
    "Alertmanager cannot deliver by {{ $labels.integration }}.",
    "For `webhook` this is the controller, or a receiver of your own: alerts do not reach it.",
)

_RULES = Alert(
    "RuleEvaluationFailing",
    'sum by (namespace, rule_group) (increase(prometheus_rule_evaluation_failures_total{job="plumbline-prometheus"}'
    "[10m])) > 0",
    "10m",
    "critical",
    "Rules of {{ $labels.rule_group }} fail.",
    "Alerts of this group cannot fire. Prometheus' own page of rules shows the error.",
)
