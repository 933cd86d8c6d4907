"""The serving endpoint: rate, latency against its budget, failures, batches, model, prediction log."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.frame import framed
from monitoring.dashboards.panels import WHERE, Query, figure, graph
from monitoring.rules.objectives import errors_name

_RATE = "$__rate_interval"
_BUDGET = Query(f"max(plumbline_latency_budget_seconds{{{WHERE}}})", "budget")


def _quantile(share: float) -> Query:
    rate = f"sum by (le) (rate(plumbline_request_seconds_bucket{{{WHERE}}}[{_RATE}]))"
    return Query(f"histogram_quantile({share}, {rate})", f"p{share * 100:g}")


def serving_dashboard() -> Dashboard:
    """Whether clients get good answers in time, and why not."""
    answered = f'plumbline_requests_total{{{WHERE},status="200"}}'
    return framed(
        "plumbline-serving",
        "Plumbline / Serving",
        "Whether clients get good answers in time, and why not.",
        [
            figure("Requests per second", Query(f"sum(rate(plumbline_requests_total{{{WHERE}}}[5m]))"), unit="reqps"),
            figure(
                "Inside the budget",
                Query(f'1 - max({errors_name("5m")}{{{WHERE},slo="latency"}})'),
                unit="percentunit",
                about="Share of answers that came inside the latency budget, five minutes.",
            ),
            figure(
                "Failed or refused",
                Query(f'max({errors_name("5m")}{{{WHERE},slo="availability"}})'),
                unit="percentunit",
                about="Share of valid requests answered with 5xx, five minutes.",
                limits=[(0.001, "orange"), (0.01, "red")],
            ),
            figure("Latency budget", _BUDGET, unit="s"),
            figure("Pods", Query(f'sum(up{{{WHERE},job="plumbline-serving"}})'), limits=[]),
            figure(
                "Served version",
                Query(f"plumbline_model{{{WHERE}}}", "{{name}} {{version}}"),
                about="Model and version; more than one during a swap only.",
                show_label=True,
            ),
            graph(
                "Requests by status",
                [
                    Query(
                        f"sum by (status, reason) (rate(plumbline_requests_total{{{WHERE}}}[{_RATE}]))",
                        "{{status}} {{reason}}",
                    )
                ],
                unit="reqps",
                stacked=True,
                about="503: refused early, a queue grows. 504: waited too long. 429: above a client's rate.",
            ),
            graph(
                "Requests by model",
                [Query(f"sum by (model) (rate(plumbline_requests_total{{{WHERE}}}[{_RATE}]))", "{{model}}")],
                unit="reqps",
                stacked=True,
            ),
            graph(
                "Latency",
                [*(_quantile(share) for share in (0.5, 0.95, 0.99)), _BUDGET],
                unit="s",
                about="From a request's arrival at the pod to its answer. The budget is a bucket's edge.",
            ),
            graph(
                "Error budget burning (1 hour)",
                [
                    Query(
                        f"{errors_name('1h')}{{{WHERE}}} / on (namespace, slo) "
                        f"(1 - plumbline:objective:ratio{{{WHERE}}})",
                        "{{slo}}",
                    )
                ],
                about="1 uses up the budget of 30 days in 30 days; 14.4 calls somebody.",
            ),
            graph(
                "Stages, mean per request",
                [
                    Query(
                        f"sum by (stage) (rate(plumbline_stage_seconds_sum{{{WHERE}}}[{_RATE}]))\n"
                        f"/ sum by (stage) (rate(plumbline_stage_seconds_count{{{WHERE}}}[{_RATE}]))",
                        "{{stage}}",
                    )
                ],
                unit="s",
            ),
            graph(
                "Degraded answers",
                [
                    Query(
                        f"sum by (reason) (rate(plumbline_degraded_total{{{WHERE}}}[{_RATE}]))\n"
                        f"/ ignoring (reason) group_left () sum(rate({answered}[{_RATE}]))",
                        "{{reason}}",
                    )
                ],
                unit="percentunit",
                about="Share of answers with defaults in place of features, by reason.",
            ),
            graph(
                "Batches and queue",
                [
                    Query(
                        f"sum(rate(plumbline_batch_size_sum{{{WHERE}}}[{_RATE}]))\n"
                        f"/ sum(rate(plumbline_batch_size_count{{{WHERE}}}[{_RATE}]))",
                        "requests per batch",
                    ),
                    Query(f"max(plumbline_waiting{{{WHERE}}})", "waiting (longest queue)"),
                ],
            ),
            graph(
                "Versions in memory",
                [Query(f"count by (role, version) (plumbline_model{{{WHERE}}})", "{{role}} {{version}}")],
                stacked=True,
                about="Pods by the versions that they hold.",
            ),
            graph(
                "Answers by role",
                [
                    Query(
                        f"sum by (role) (rate(plumbline_variant_answers_total{{{WHERE}}}[{_RATE}]))",
                        "{{role}}",
                    ),
                    Query(f"max(plumbline_canary_weight{{{WHERE}}})", "canary's weight"),
                ],
                about="A shadow's answers are computed and logged, never sent.",
            ),
            graph(
                "Evidence against the canary",
                [Query(f"max by (model, test) (plumbline_canary_log_evidence{{{WHERE}}})", "{{model}}: {{test}}")],
                about="Natural logarithm; at the logarithm of the tests' number over alpha the canary is taken out.",
            ),
            graph(
                "Age of features",
                [
                    Query(
                        "histogram_quantile(0.5, sum by (le, view) "
                        f"(rate(plumbline_feature_age_seconds_bucket{{{WHERE}}}[{_RATE}])))",
                        "{{view}}",
                    )
                ],
                unit="s",
                about="Median age of a view's row at its posting's time.",
            ),
            graph(
                "Loads of a model version",
                [Query(f"sum by (outcome) (increase(plumbline_model_loads_total{{{WHERE}}}[5m]))", "{{outcome}}")],
                about="Failed: MLflow is away, or the version cannot be loaded; the one before is served on.",
            ),
            graph(
                "Alias of the model",
                [Query(f"sum by (model, state) (plumbline_model_alias_state{{{WHERE}}})", "{{model}}: {{state}}")],
                about="Pods by how they follow it. Uncovered: nobody has said that what it names may be served. Gone: "
                "it names nothing. Failed: it cannot be read or loaded.",
            ),
            graph(
                "Prediction log waiting",
                [Query(f"plumbline_log_spool_bytes{{{WHERE}}}", "{{instance}}")],
                unit="bytes",
                about="On the pods' disks, not in the object store yet.",
            ),
            graph(
                "Prediction log left out",
                [Query(f"sum by (reason) (rate(plumbline_log_left_out_total{{{WHERE}}}[{_RATE}]))", "{{reason}}")],
                unit="reqps",
                about="Answers without a record, by reason; `policy` is the sample that is wanted.",
            ),
        ],
    )
