"""Alerts on the serving endpoint beyond its objectives: what makes them suffer, and what loses data."""

from __future__ import annotations

from monitoring.rules.model import Alert, Group
from monitoring.rules.thresholds import DEGRADED_SHARE, SHED_SHARE, SPOOL_BYTES, SPOOL_SEGMENTS

_ANSWERED = 'sum by (namespace) (rate(plumbline_requests_total{status="200"}[10m]))'


def serving_groups() -> list[Group]:
    """Load, features, the served version, the prediction log."""
    return [
        Group(
            "plumbline-serving",
            [
                _SHEDDING,
                _DEGRADED,
                _NOT_FOLLOWED,
                _UNCOVERED,
                _GONE,
                _DIFFER,
                _ROLLED_BACK,
                _NOT_SHIPPED,
                _SPOOL,
                _LEFT_OUT,
            ],
        )
    ]


_SHEDDING = Alert(
    "ServingShedding",
    'sum by (namespace, model) (rate(plumbline_requests_total{status=~"503|504"}[5m]))\n'
    f"/ sum by (namespace, model) (rate(plumbline_requests_total[5m])) > {SHED_SHARE}",
    "5m",
    "warning",
    "Serving refuses {{ $value | humanizePercentage }} of all requests for {{ $labels.model }}.",
    "Requests come faster than the pods answer them, or the prediction log cannot be written. Add replicas or "
    "CPU, or ask the clients to send less.",
)

_DEGRADED = Alert(
    "ServingDegraded",
    "sum by (namespace, reason) (rate(plumbline_degraded_total[10m]))\n"
    f"/ on (namespace) group_left () {_ANSWERED} > {DEGRADED_SHARE}",
    "10m",
    "warning",
    "{{ $value | humanizePercentage }} of all answers were made with defaults for features ({{ $labels.reason }}).",
    "The online store answers late, is away, or holds features that are too old. Answers go on, and are worse.",
)

_NOT_FOLLOWED = Alert(
    "ServingModelNotFollowed",
    'sum by (namespace, instance) (increase(plumbline_model_loads_total{outcome="failed"}[10m])) > 0',
    "5m",
    "warning",
    "{{ $labels.instance }} could not follow the model's alias {{ $value | humanize }} times in ten minutes.",
    "MLflow cannot be reached, or the version that the alias names cannot be loaded. The version from before is "
    "served on; a pod that starts now would not become ready.",
)

_UNCOVERED = Alert(
    "ServingModelUncovered",
    'max by (namespace, model) (plumbline_model_alias_state{state="uncovered"}) > 0',
    "1m",
    "warning",
    "The alias of {{ $labels.model }} names a version that neither the gate nor a promotion covers.",
    "Somebody gave it the alias by other means than `plumbline models promote VERSION --reason ...`. With "
    "`serving.follow: covered` the version from before is served on, and a pod that starts now would not become ready; "
    "with `any` it is served.",
)

_GONE = Alert(
    "ServingModelGone",
    'max by (namespace, model) (plumbline_model_alias_state{state="gone"}) > 0',
    "1m",
    "critical",
    "The alias of {{ $labels.model }} names no version any more.",
    "The version that is served was deleted, or the alias was taken from it. The pods that run serve it on; one that "
    "starts now would not become ready. `plumbline models rollback --reason ...` returns to the champion before.",
)

_DIFFER = Alert(
    "ServingModelVersionsDiffer",
    "count by (namespace, name, alias) (count by (namespace, name, alias, version) (plumbline_model)) > 1",
    "15m",
    "warning",
    "{{ $value }} versions of {{ $labels.name }} are served as {{ $labels.alias }} at once.",
    "Some pods did not follow the alias: clients get different answers from different pods.",
)

_ROLLED_BACK = Alert(
    "ReleaseRolledBack",
    "sum by (namespace, model) (increase(plumbline_release_rollbacks_total[15m])) > 0",
    "0m",
    "warning",
    "The new version of {{ $labels.model }} was taken out again.",
    "It erred, or was later than its budget, more often than the champion beside it: `plumbline release history` "
    "has the numbers. Its clients were answered by the champion.",
)

_NOT_SHIPPED = Alert(
    "PredictionLogNotShipped",
    f"plumbline_log_spool_segments > {SPOOL_SEGMENTS}",
    "10m",
    "warning",
    "{{ $value }} segments of the prediction log wait on {{ $labels.instance }}.",
    "They are not shipped to the object store: it is away, or refuses. What is on the pod's disk is lost with the pod.",
)

_SPOOL = Alert(
    "PredictionLogSpoolGrowing",
    f"plumbline_log_spool_bytes > {SPOOL_BYTES}",
    "5m",
    "critical",
    "{{ $value | humanize1024 }}B of the prediction log wait on {{ $labels.instance }}.",
    "When the room is used up, records are left out, or requests refused (`serving.log.when_full`).",
)

_LEFT_OUT = Alert(
    "PredictionLogIncomplete",
    'sum by (namespace, reason) (increase(plumbline_log_left_out_total{reason!="policy"}[10m])) > 0',
    "0m",
    "critical",
    "{{ $value | humanize }} answers of ten minutes have no record in the prediction log ({{ $labels.reason }}).",
    "The spool has no room left because the object store is away, or the disk does not take the records. Monitors and "
    "comparisons see a sample, whose share each record carries.",
)
