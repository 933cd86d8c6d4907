"""The loop: alerts taken, retrainings, and the champion they lead to."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.frame import framed
from monitoring.dashboards.panels import WHERE, Query, figure, graph

_STATES = "plumbline_controller_retrainings"
_STARTED = f"max(plumbline_controller_retraining_started_timestamp_seconds{{{WHERE}}})"
_ENDED = f"max(plumbline_controller_last_retraining_timestamp_seconds{{{WHERE}}})"


def loop_dashboard() -> Dashboard:
    """What the controller did about which alerts, and what came of it."""
    return framed(
        "plumbline-loop",
        "Plumbline / The loop",
        "What the controller did about which alerts, and what came of it.",
        [
            figure("Promoted", Query(f'max({_STATES}{{{WHERE},state="promoted"}})')),
            figure("Rejected by the gate", Query(f'max({_STATES}{{{WHERE},state="rejected"}})')),
            figure("Failed", Query(f'max({_STATES}{{{WHERE},state="failed"}})'), limits=[(1, "red")]),
            figure("Cancelled", Query(f'max({_STATES}{{{WHERE},state="cancelled"}})')),
            figure(
                "Waits for approval",
                Query(f'max({_STATES}{{{WHERE},state="awaiting_approval"}})'),
                limits=[(1, "orange")],
            ),
            figure("Running for", Query(f"time() - ({_STARTED} > 0)"), unit="s", about="Empty while none runs."),
            figure("Last one ended", Query(f"({_ENDED} > 0) * 1000"), unit="dateTimeFromNow"),
            graph(
                "Retrainings by state",
                [Query(f"max by (state) ({_STATES}{{{WHERE}}})", "{{state}}")],
                about="Promoted, rejected, rolled_back, failed and cancelled are final and only grow.",
            ),
            graph(
                "Alerts by what was done",
                [Query(f"sum by (action) (increase(plumbline_controller_alerts_total{{{WHERE}}}[1h]))", "{{action}}")],
                stacked=True,
                about=(
                    "Per hour. retraining: one was queued; joined: one is under way; cooldown, already_done, recorded, "
                    "other_model, unreadable, resolved: none."
                ),
            ),
            graph(
                "Champion served",
                [
                    Query(
                        f'count by (name, version) (plumbline_model{{{WHERE},alias="champion"}})',
                        "{{name}} {{version}}",
                    )
                ],
                stacked=True,
                about="Pods by the champion's version: a promotion or a rollback is a change of colour.",
            ),
            graph(
                "Alerts of the monitors",
                [Query(f"max by (model) (plumbline_monitor_window_alerts{{{WHERE}}})", "{{model}}")],
                width=12,
            ),
            graph(
                "Alerts firing, all",
                [Query(f'count by (alertname, severity) (ALERTS{{{WHERE},alertstate="firing"}})', "{{alertname}}")],
                width=12,
                stacked=True,
                about="Of the rules in this Prometheus; what the monitors send is in Alertmanager.",
            ),
        ],
        hours=24 * 7,
    )
