"""The platform's own processes: up, restarts, CPU, memory, alerting."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.frame import framed
from monitoring.dashboards.panels import WHERE, Query, figure, graph, listing

_OURS = f'{WHERE},job=~"plumbline-.+"'
_NAME = "{{job}} {{instance}}"
_RATE = "$__rate_interval"
_FIRING = f'ALERTS{{{WHERE},alertstate="firing"}}'


def platform_dashboard() -> Dashboard:
    """What is up, what it takes, and whether alerts get out."""
    return framed(
        "plumbline-platform",
        "Plumbline / Platform",
        "What is up, what it takes, and whether alerts get out.",
        [
            figure("Targets up", Query(f"sum(up{{{_OURS}}})")),
            figure("Targets down", Query(f"sum(1 - up{{{_OURS}}})"), limits=[(1, "red")]),
            figure(
                "Starts within an hour",
                Query(f"sum(changes(process_start_time_seconds{{{_OURS}}}[1h]))"),
                limits=[(1, "orange"), (3, "red")],
                about="Of processes at an address that was there before: containers that were started again.",
            ),
            figure(
                "Alerts firing",
                Query(f"count({_FIRING}) or vector(0)"),
                limits=[(1, "orange")],
            ),
            figure(
                "Notifications failed",
                Query(f"sum(increase(alertmanager_notifications_failed_total{{{WHERE}}}[1h]))"),
                limits=[(1, "red")],
            ),
            figure("Series in memory", Query(f"sum(prometheus_tsdb_head_series{{{WHERE}}})")),
            graph("Up", [Query(f"min by (job) (up{{{_OURS}}})", "{{job}}")], most=1, about="0 where a pod is down."),
            graph("CPU", [Query(f"rate(process_cpu_seconds_total{{{_OURS}}}[{_RATE}])", _NAME)], about="Cores."),
            graph("Memory", [Query(f"process_resident_memory_bytes{{{_OURS}}}", _NAME)], unit="bytes"),
            graph(
                "Open files over limit",
                [Query(f"process_open_fds{{{_OURS}}} / process_max_fds{{{_OURS}}}", _NAME)],
                unit="percentunit",
            ),
            graph(
                "Notifications",
                [
                    Query(
                        f"sum by (integration) (rate(alertmanager_notifications_total{{{WHERE}}}[5m]))",
                        "sent: {{integration}}",
                    ),
                    Query(
                        f"sum by (integration) (rate(alertmanager_notifications_failed_total{{{WHERE}}}[5m]))",
                        "failed: {{integration}}",
                    ),
                ],
                unit="ops",
            ),
            graph(
                "Prometheus' disk",
                [Query(f"prometheus_tsdb_storage_blocks_bytes{{{WHERE}}}", "{{instance}}")],
                unit="bytes",
            ),
            listing(
                "Alerts firing",
                [Query(_FIRING)],
                columns={
                    "alertname": "alert",
                    "severity": "severity",
                    "namespace": "namespace",
                    "job": "job",
                    "instance": "instance",
                },
            ),
        ],
    )
