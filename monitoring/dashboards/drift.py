"""The drift monitors' latest results, column by column."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.frame import framed
from monitoring.dashboards.panels import WHERE, Query, figure, graph, listing

_DAYS = 30
_VERSION = "version {{model_version}}"
_LAST = f"plumbline_monitor_last_run_timestamp_seconds{{{WHERE}}}"


def drift_dashboard() -> Dashboard:
    """What has moved, how far beyond its limit, and whether the monitors run."""
    tested = f"plumbline_monitor_drift_value{{{WHERE}}}"
    limit = f"plumbline_monitor_drift_threshold{{{WHERE}}}"
    return framed(
        "plumbline-drift",
        "Plumbline / Drift monitors",
        "What has moved, how far beyond its limit, and whether the monitors run.",
        [
            figure(
                "Since the last run",
                Query(f"time() - max({_LAST})"),
                unit="s",
                limits=[(86400, "orange"), (2 * 86400, "red")],
            ),
            figure(
                "Alerts of the last window",
                Query(f"plumbline_monitor_window_alerts{{{WHERE}}}", _VERSION),
                limits=[(1, "orange")],
            ),
            figure(
                "Tests breached",
                Query(
                    f"sum by (model_version) (plumbline_monitor_drift_breached{{{WHERE}}})", "version {{model_version}}"
                ),
                limits=[(1, "orange")],
            ),
            figure(
                "Windows not judged",
                Query(f"sum(plumbline_monitor_window_failed{{{WHERE}}})"),
                limits=[(1, "red")],
            ),
            figure(
                "Postings in the window",
                Query(f"plumbline_monitor_window_rows{{{WHERE}}}", _VERSION),
            ),
            figure(
                "Alerts not delivered",
                Query(f"max(plumbline_monitor_alerts_waiting{{{WHERE}}})"),
                limits=[(1, "red")],
            ),
            graph(
                "Value over limit, by column",
                [Query(f"{tested} / {limit} > 0", "{{test}}: {{column}} (version {{model_version}})")],
                width=16,
                about="1 is the limit that windows of this size pass by chance in at most the stated share of cases.",
            ),
            graph(
                "Performance where labels have arrived",
                [
                    Query(
                        f'plumbline_monitor_drift_value{{{WHERE},test="accuracy"}}',
                        "fall of accuracy, version {{model_version}}",
                    ),
                    Query(f'plumbline_monitor_drift_threshold{{{WHERE},test="accuracy"}}', "its limit"),
                    Query(
                        f'plumbline_monitor_drift_value{{{WHERE},test="confidence"}}',
                        "fall of confidence, version {{model_version}}",
                    ),
                ],
                unit="percentunit",
                least=None,
                about="Against the reference's rows that the model was not fitted on; below 0 it has become better.",
            ),
            listing(
                "Tests of the last window",
                [Query(tested), Query(limit), Query(f"plumbline_monitor_drift_breached{{{WHERE}}}")],
                columns={
                    "model_version": "version",
                    "test": "test",
                    "column": "column",
                    "Value #A": "value",
                    "Value #B": "limit",
                    "Value #C": "breached",
                },
                about="The Evidently pages show the distributions behind these figures.",
            ),
        ],
        hours=24 * _DAYS,
    )
