"""Serving's two objectives and the alerts on how fast their error budgets go."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.rules.model import Alert, Group, Record, Severity
from monitoring.rules.parameters import OBJECTIVE
from monitoring.rules.thresholds import FAST_BURNS, MIN_REQUESTS, SLOW_BURNS, Burn

_BURNS = (*FAST_BURNS, *SLOW_BURNS)
_WINDOWS = sorted({window for burn in _BURNS for window in (burn.long, burn.short)})

# What the client got wrong (4xx) is nobody's failure.
_VALID = 'plumbline_requests_total{status!~"4.."}'
_FAILED = 'plumbline_requests_total{status=~"5.."}'


def errors_name(window: str) -> str:
    """Recorded share of requests that missed an objective in a window; label `slo`."""
    return f"plumbline:slo_errors:ratio_rate{window}"


def _requests_name(window: str) -> str:
    return f"plumbline:slo_requests:increase{window}"


def _ratios(window: str) -> list[Record]:
    latency = (
        f"1 - sum by (namespace) (rate(plumbline_within_budget_total[{window}]))\n"
        f"/ sum by (namespace) (rate(plumbline_request_seconds_count[{window}]))"
    )
    availability = f"sum by (namespace) (rate({_FAILED}[{window}])) / sum by (namespace) (rate({_VALID}[{window}]))"
    return [
        Record(errors_name(window), latency, {"slo": "latency"}),
        Record(errors_name(window), availability, {"slo": "availability"}),
    ]


def _burning(slo: str, burns: Sequence[Burn]) -> str:
    return "\nor\n".join(_pair(slo, burn) for burn in burns)


def _pair(slo: str, burn: Burn) -> str:
    limit = f"{burn.factor:g} * (1 - {OBJECTIVE})"
    return (
        f'(\n  {errors_name(burn.long)}{{slo="{slo}"}} > on (namespace, slo) {limit}\n'
        f"  and on (namespace, slo) {errors_name(burn.short)} > on (namespace, slo) {limit}\n"
        f"  and on (namespace) {_requests_name(burn.long)} >= {MIN_REQUESTS}\n)"
    )


def _alert(slo: str, burns: Sequence[Burn], severity: Severity) -> Alert:
    speed = (
        "At this rate the error budget of 30 days is gone within days, or within hours."
        if severity == "critical"
        else "At this rate the error budget of 30 days is used up before they are over."
    )
    if slo == "latency":
        name, what = "ServingLatencyBudgetBurning", "answers came after the latency budget"
        first = "Look at the stages on the serving dashboard: queue, features or model."
    else:
        name, what = "ServingErrorBudgetBurning", "requests failed or were refused"
        first = "Look at the statuses on the serving dashboard: 503 is load or a full disk, 500 is the model."
    return Alert(
        name,
        _burning(slo, burns),
        # The short window is what makes it end soon; two minutes bridge one missed scrape.
        "2m",
        severity,
        f"{{{{ $value | humanizePercentage }}}} of {what}.",
        f"{speed} {first}",
    )


def objectives_groups() -> list[Group]:
    """Recorded shares, and the alerts on them."""
    short = [window for window in _WINDOWS if window.endswith("m") or window in ("1h", "2h")]
    long = [window for window in _WINDOWS if window not in short]
    counted = {burn.long for burn in _BURNS}
    return [
        Group(f"plumbline-objectives-{name}", _records(windows, counted), interval)
        for name, windows, interval in (("short", short, ""), ("long", long, "2m"))
    ] + [
        Group(
            "plumbline-objectives",
            [_alert(slo, burns, severity) for slo in ("latency", "availability") for burns, severity in _SEVERITIES],
        )
    ]


_SEVERITIES: tuple[tuple[Sequence[Burn], Severity], ...] = ((FAST_BURNS, "critical"), (SLOW_BURNS, "warning"))


def _records(windows: list[str], counted: set[str]) -> list[Record]:
    rules: list[Record] = []
    for window in windows:
        rules += _ratios(window)
        if window in counted:
            rules.append(Record(_requests_name(window), f"sum by (namespace) (increase({_VALID}[{window}]))"))
    return rules
