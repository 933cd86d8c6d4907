"""For every alert: series under which it fires, and series, close to them, under which it does not.

Series are in promtool's notation: `1+2x10` is 1, 3, 5 ... 21, `0x10` is eleven zeros; one sample a minute, and one in
five minutes where a case takes longer than ten hours.
"""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "prod"
_WHERE = f'namespace="{NAMESPACE}"'
_POD = f'{_WHERE},job="plumbline-serving",instance="a:8000"'
_CONTROLLER = f'{_WHERE},job="plumbline-controller",instance="c:8090"'
_RESULT = f'{_WHERE},job="plumbline-exporter",instance="e:9105",model="m"'
_LAST = "plumbline_monitor_last_run_timestamp_seconds"
_DAY = 1440
_DAYS_OF_SAMPLES = 3 * _DAY // 5


@dataclass(frozen=True)
class Case:
    """One promtool test.

    Attributes:
        alert: Name of the alert that is looked at.
        series: Input, by series.
        minutes: When it is looked at.
        fires: Labels of what fires then, besides name and namespace; none if nothing does.
    """

    alert: str
    series: dict[str, str]
    minutes: int
    fires: tuple[dict[str, str], ...] = ()

    @property
    def long(self) -> bool:
        """Whether its samples are five minutes apart."""
        return self.minutes > 600


def _requests(status: str, per_minute: float, minutes: int) -> dict[str, str]:
    return {f'plumbline_requests_total{{{_POD},model="m",status="{status}"}}': f"0+{per_minute}x{minutes}"}


def _latency(inside: float, late: float, minutes: int) -> dict[str, str]:
    return {
        **_requests("200", inside + late, minutes),
        f"plumbline_within_budget_total{{{_POD}}}": f"0+{inside}x{minutes}",
        f"plumbline_request_seconds_count{{{_POD}}}": f"0+{inside + late}x{minutes}",
    }


def _errors(good: float, bad: float, minutes: int) -> dict[str, str]:
    return {**_requests("200", good, minutes), **_requests("500", bad, minutes)}


def _retrainings(state: str, values: str, instance: str = "c:8090") -> dict[str, str]:
    labels = f'{_WHERE},job="plumbline-controller",instance="{instance}",state="{state}"'
    return {f"plumbline_controller_retrainings{{{labels}}}": values}


def _result(version: str, finished: str, *, failed: int = 0, alerts: int = 0, minutes: int = 300) -> dict[str, str]:
    labels = f'{_RESULT},model_version="{version}"'
    return {
        f"{_LAST}{{{labels}}}": finished,
        f"plumbline_monitor_window_failed{{{labels}}}": f"{failed}x{minutes}",
        f"plumbline_monitor_window_alerts{{{labels}}}": f"{alerts}x{minutes}",
    }


def _up(component: str, values: str, instance: str = "a:1") -> dict[str, str]:
    return {f'up{{{_WHERE},job="plumbline-{component}",instance="{instance}"}}': values}


def _ended(at: str) -> dict[str, str]:
    return {f"plumbline_controller_last_retraining_timestamp_seconds{{{_CONTROLLER}}}": at}


_CRITICAL, _WARNING, _INFO = ({"severity": level} for level in ("critical", "warning", "info"))
_M = {"model": "m"}
_SERVED = 'name="m",alias="champion"'

_DOWN = [
    case
    for alert, component, severity in (
        ("ServingDown", "serving", _CRITICAL),
        ("ControllerDown", "controller", _CRITICAL),
        ("ExporterDown", "exporter", _WARNING),
        ("AlertmanagerDown", "alertmanager", _CRITICAL),
    )
    for case in (
        Case(alert, _up(component, "1x5 0x12"), 15, ({**severity, "component": component},)),
        Case(alert, {}, 10, ({**severity, "component": component},)),  # no target at all
        Case(alert, {**_up(component, "1x20"), **_up(component, "0x20", "b:1")}, 18),
    )
]

CASES = [
    # 20% late in the last hour burns a budget of 1% twenty times too fast.
    # (The slow alert fires beside it: the series are too young for its windows to hold anything else.)
    Case(
        "ServingLatencyBudgetBurning",
        _latency(80, 20, 70),
        70,
        ({**_CRITICAL, "slo": "latency"}, {**_WARNING, "slo": "latency"}),
    ),
    Case("ServingLatencyBudgetBurning", _latency(99.5, 0.5, 70), 70),
    # It was bad for an hour, and is over: the short window ends the critical alert.
    Case(
        "ServingLatencyBudgetBurning",
        {
            **_requests("200", 100, 90),
            f"plumbline_within_budget_total{{{_POD}}}": "0+80x60 4900+100x30",
            f"plumbline_request_seconds_count{{{_POD}}}": "0+100x90",
        },
        90,
        ({**_WARNING, "slo": "latency"},),
    ),
    # Half of ten requests an hour were late: too few to say anything.
    Case("ServingLatencyBudgetBurning", _latency(0.1, 0.1, 70), 70),
    # 4% for a day: slow, and over its share.
    Case(
        "ServingLatencyBudgetBurning", _latency(96, 4, _DAYS_OF_SAMPLES), _DAY + 60, ({**_WARNING, "slo": "latency"},)
    ),
    Case(
        "ServingErrorBudgetBurning",
        _errors(97, 3, 70),
        70,
        ({**_CRITICAL, "slo": "availability"}, {**_WARNING, "slo": "availability"}),
    ),
    Case("ServingErrorBudgetBurning", _errors(99.95, 0.05, 70), 70),
    Case(
        "ServingErrorBudgetBurning",
        _errors(99.6, 0.4, _DAYS_OF_SAMPLES),
        _DAY + 60,
        ({**_WARNING, "slo": "availability"},),
    ),
    # What clients got wrong is not held against serving.
    Case("ServingErrorBudgetBurning", {**_errors(100, 0, 70), **_requests("422", 50, 70)}, 70),
    Case(
        "ServingShedding", {**_requests("200", 90, 20), **_requests("503", 10, 20)}, 15, ({**_WARNING, "model": "m"},)
    ),
    Case(
        "ServingShedding", {**_requests("200", 90, 20), **_requests("504", 10, 20)}, 15, ({**_WARNING, "model": "m"},)
    ),
    # A client above its own rate is not overload.
    Case("ServingShedding", {**_requests("200", 90, 20), **_requests("429", 10, 20)}, 15),
    Case("ServingShedding", {**_requests("200", 1000, 20), **_requests("503", 5, 20)}, 15),
    Case(
        "ServingDegraded",
        {**_requests("200", 100, 30), f'plumbline_degraded_total{{{_POD},reason="late"}}': "0+20x30"},
        25,
        ({**_WARNING, "reason": "late"},),
    ),
    Case(
        "ServingDegraded",
        {**_requests("200", 100, 30), f'plumbline_degraded_total{{{_POD},reason="late"}}': "0+2x30"},
        25,
    ),
    Case(
        "ServingModelNotFollowed",
        {f'plumbline_model_loads_total{{{_POD},outcome="failed"}}': "0x5 30+30x20"},
        20,
        ({**_WARNING, "instance": "a:8000"},),
    ),
    Case("ServingModelNotFollowed", {f'plumbline_model_loads_total{{{_POD},outcome="loaded"}}': "1+1x20"}, 20),
    *(
        case
        for alert, state, other, severity in (
            ("ServingModelUncovered", "uncovered", "gone", _WARNING),
            ("ServingModelGone", "gone", "failed", _CRITICAL),
        )
        for case in (
            Case(
                alert,
                {f'plumbline_model_alias_state{{{_POD},model="m",state="{state}"}}': "0x5 1x10"},
                12,
                ({**severity, "model": "m"},),
            ),
            Case(
                alert,
                {
                    f'plumbline_model_alias_state{{{_POD},model="m",state="{state}"}}': "0x5 1x1 0x10",
                    f'plumbline_model_alias_state{{{_POD},model="m",state="{other}"}}': "1x20",
                },
                12,
            ),
        )
    ),
    Case(
        "ServingModelVersionsDiffer",
        {
            f'plumbline_model{{{_POD},{_SERVED},version="1"}}': "1x30",
            f'plumbline_model{{{_WHERE},instance="b:8000",{_SERVED},version="2"}}': "1x30",
        },
        25,
        ({**_WARNING, "name": "m", "alias": "champion"},),
    ),
    Case(
        "ServingModelVersionsDiffer",
        {
            f'plumbline_model{{{_POD},{_SERVED},version="1"}}': "1x10 _x20",
            f'plumbline_model{{{_POD},{_SERVED},version="2"}}': "_x8 1x22",
        },
        30,
    ),
    Case(
        "ReleaseRolledBack",
        {f'plumbline_release_rollbacks_total{{{_POD},model="m"}}': "0x10 1x10"},
        15,
        ({**_WARNING, "model": "m"},),
    ),
    Case("ReleaseRolledBack", {f'plumbline_release_rollbacks_total{{{_POD},model="m"}}': "1x20"}, 15),
    Case(
        "PredictionLogIncomplete",
        {f'plumbline_log_left_out_total{{{_POD},reason="spool_full"}}': "0x5 5x20"},
        8,
        ({**_CRITICAL, "reason": "spool_full"},),
    ),
    # What the owner's own policy leaves out is meant.
    Case("PredictionLogIncomplete", {f'plumbline_log_left_out_total{{{_POD},reason="policy"}}': "0+5x20"}, 8),
    Case(
        "PredictionLogNotShipped",
        {f"plumbline_log_spool_segments{{{_POD}}}": "1x5 5x20"},
        20,
        ({**_WARNING, "instance": "a:8000", "job": "plumbline-serving"},),
    ),
    Case("PredictionLogNotShipped", {f"plumbline_log_spool_segments{{{_POD}}}": "1x5 9x3 2x20"}, 20),
    Case(
        "PredictionLogSpoolGrowing",
        {f"plumbline_log_spool_bytes{{{_POD}}}": "3e8x10"},
        8,
        ({**_CRITICAL, "instance": "a:8000", "job": "plumbline-serving"},),
    ),
    Case("PredictionLogSpoolGrowing", {f"plumbline_log_spool_bytes{{{_POD}}}": "1e8x10"}, 8),
    Case("MonitorStale", _result("1", f"0x{_DAYS_OF_SAMPLES}"), 2 * _DAY + 20, ({**_CRITICAL, **_M},)),
    Case("MonitorStale", _result("1", f"0x{_DAYS_OF_SAMPLES}"), 2 * _DAY - 20),
    # An old version's last run is old; the model has been judged since.
    Case(
        "MonitorStale",
        {**_result("1", f"0x{_DAYS_OF_SAMPLES}"), **_result("2", f"{_DAY * 60}x{_DAYS_OF_SAMPLES}")},
        2 * _DAY + 20,
    ),
    Case("MonitorNeverRan", _up("exporter", f"1x{_DAYS_OF_SAMPLES}"), _DAY + 20, (_WARNING,)),
    Case(
        "MonitorNeverRan",
        {**_up("exporter", f"1x{_DAYS_OF_SAMPLES}"), **_result("1", f"0x{_DAYS_OF_SAMPLES}")},
        _DAY + 20,
    ),
    Case(
        "MonitorResultMissing",
        _result("2", "600x300", failed=1),
        20,
        ({**_WARNING, **_M, "model_version": "2", "job": "plumbline-exporter", "instance": "e:9105"},),
    ),
    Case("MonitorResultMissing", {**_result("1", "300x300", failed=1), **_result("2", "600x300")}, 20),
    Case("MonitorResultsUnreadable", {f"plumbline_monitor_store_up{{{_WHERE}}}": "1x5 0x20"}, 20, (_WARNING,)),
    Case("MonitorResultsUnreadable", {f"plumbline_monitor_store_up{{{_WHERE}}}": "1x5 0x5 1x10"}, 20),
    Case("MonitorAlertsWaiting", {f"plumbline_monitor_alerts_waiting{{{_WHERE}}}": "2x30"}, 20, (_CRITICAL,)),
    Case("MonitorAlertsWaiting", {f"plumbline_monitor_alerts_waiting{{{_WHERE}}}": "2x5 0x30"}, 20),
    Case(
        "DriftUnanswered",
        {**_result("1", "600x300", alerts=1), **_ended("0x300"), **_retrainings("running", "0x300")},
        200,
        ({**_WARNING, **_M},),
    ),
    Case(
        "DriftUnanswered",
        {**_result("1", "600x300", alerts=1), **_ended("900x300"), **_retrainings("running", "0x300")},
        200,
    ),
    Case(
        "DriftUnanswered",
        {**_result("1", "600x300", alerts=1), **_ended("0x300"), **_retrainings("running", "1x300")},
        200,
    ),
    Case("DriftUnanswered", {**_result("1", "600x300"), **_ended("0x300"), **_retrainings("running", "0x300")}, 200),
    Case("ControllerRetrainingFailed", _retrainings("failed", "1x60 2x60"), 100, (_CRITICAL,)),
    # The pod was replaced: another series, the same count.
    Case(
        "ControllerRetrainingFailed",
        {**_retrainings("failed", "1x60 _x60"), **_retrainings("failed", "_x60 1x60", "d:8090")},
        100,
    ),
    Case("ControllerRetrainingFailed", _retrainings("failed", "0x30 1x600"), 500),
    Case(
        "ControllerRetrainingStuck",
        {f"plumbline_controller_retraining_started_timestamp_seconds{{{_CONTROLLER}}}": "600x300"},
        150,
        (_WARNING,),
    ),
    Case(
        "ControllerRetrainingStuck",
        {f"plumbline_controller_retraining_started_timestamp_seconds{{{_CONTROLLER}}}": "600x60 0x240"},
        150,
    ),
    Case("ControllerAwaitsApproval", _retrainings("awaiting_approval", "1x300"), 250, (_INFO,)),
    Case("ControllerAwaitsApproval", _retrainings("awaiting_approval", "1x100 0x200"), 250),
    *_DOWN,
    Case(
        "TargetDown",
        {**_up("serving", "0x20"), **_up("serving", "1x20", "b:1")},
        15,
        ({**_WARNING, "job": "plumbline-serving", "instance": "a:1"},),
    ),
    Case("TargetDown", _up("serving", "1x5 0x3 1x12"), 15),
    Case(
        "ProcessRestarting",
        {f"process_start_time_seconds{{{_POD}}}": "0x10 60x10 120x10 180x10"},
        35,
        ({**_WARNING, "job": "plumbline-serving", "instance": "a:8000"},),
    ),
    Case("ProcessRestarting", {f"process_start_time_seconds{{{_POD}}}": "0x10 60x30"}, 35),
    Case(
        "AlertNotificationsFailing",
        {
            f'alertmanager_notifications_failed_total{{{_WHERE},job="plumbline-alertmanager",'
            'integration="webhook"}': "0+1x40"
        },
        30,
        ({**_CRITICAL, "integration": "webhook"},),
    ),
    Case(
        "AlertNotificationsFailing",
        {
            f'alertmanager_notifications_failed_total{{{_WHERE},job="plumbline-alertmanager",'
            'integration="webhook"}': "3x40"
        },
        30,
    ),
    Case(
        "RuleEvaluationFailing",
        {
            f'prometheus_rule_evaluation_failures_total{{{_WHERE},job="plumbline-prometheus",rule_group="g"}}': (
                "0+1x40"
            )
        },
        30,
        ({**_CRITICAL, "rule_group": "g"},),
    ),
    Case(
        "RuleEvaluationFailing",
        {f'prometheus_rule_evaluation_failures_total{{{_WHERE},job="plumbline-prometheus",rule_group="g"}}': "3x40"},
        30,
    ),
]
