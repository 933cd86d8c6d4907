"""Objectives of a load run, such as `p99<50ms,errors<0.1%,goodput>450`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plumbline.errors import UserError

_OBJECTIVE = re.compile(r"\s*([a-z0-9_]+)\s*(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z%/]*)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LATENCY_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_LATENCIES = ("p50", "p90", "p95", "p99", "p999", "p9999", "max", "mean")
_SHARES = {"errors": "<", "degraded": "<", "within_budget": ">"}
_RATES = {"goodput": "goodput_rps", "rate": "rate"}
_EXAMPLE = "Write objectives such as p99<50ms,errors<0.1%,goodput>450."


@dataclass(frozen=True, slots=True)
class Objective:
    """One condition on a result. `limit` is in milliseconds, a share of 1, or per second, as the metric is."""

    text: str
    metric: str
    comparison: str
    limit: float

    def value_in(self, result: Mapping[str, Any]) -> float | None:
        """The metric's value in a run's result; None where nothing was answered."""
        if self.metric in _LATENCIES:
            value: float | None = result[f"{self.metric}_ms"]
            return value
        if self.metric in _RATES:
            return float(result[_RATES[self.metric]])
        if self.metric == "errors":
            return float(result["errors"] / result["sent"])
        if self.metric == "degraded":
            return float(result["degraded"] / max(1, result["postings_answered"]))
        return float(result[self.metric])

    def met_by(self, result: Mapping[str, Any]) -> bool:
        """Whether the result meets it; where nothing was answered it does not."""
        value = self.value_in(result)
        return value is not None and _COMPARE[self.comparison](value, self.limit)


def parse_slo(text: str) -> list[Objective]:
    """Parses objectives that are separated by commas.

    Raises:
        UserError: One cannot be read, compares the wrong way round, or lacks its unit; the sentence says which.
    """
    objectives = [_parse(part) for part in text.split(",")]
    doubled = {one.metric for one in objectives if sum(one.metric == other.metric for other in objectives) > 1}
    if doubled:
        raise UserError(f"The objectives name {', '.join(sorted(doubled))} twice. Give each once.")
    return objectives


def judge(objectives: list[Objective], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per objective: `objective`, `value` (in the objective's own measure), `met`."""
    return [{"objective": one.text, "value": one.value_in(result), "met": one.met_by(result)} for one in objectives]


def _parse(part: str) -> Objective:
    match = _OBJECTIVE.fullmatch(part)
    if match is None:
        raise UserError(f"{part.strip()!r} is not an objective. {_EXAMPLE}")
    metric, comparison, number, unit = match.groups()
    if metric in _LATENCIES:
        factor, better = _factor(part, unit, _LATENCY_UNITS), "<"
    elif metric in _SHARES:
        factor, better = _factor(part, unit, {"%": 0.01}), _SHARES[metric]
    elif metric in _RATES:
        factor, better = _factor(part, unit, {"": 1.0, "/s": 1.0}), ">"
    else:
        known = ", ".join((*_LATENCIES, *_SHARES, *_RATES))
        raise UserError(f"{part.strip()!r} names no figure of a run. Take one of {known}.")
    if comparison[0] != better:
        raise UserError(f"{part.strip()!r} asks for a bad result: {metric} is compared with {better} or {better}=.")
    return Objective(part.strip(), metric, comparison, float(number) * factor)


def _factor(part: str, unit: str, units: Mapping[str, float]) -> float:
    if unit not in units:
        wanted = " or ".join(name or "no unit" for name in units)
        raise UserError(f"{part.strip()!r} has the unit {unit or 'none'}: write {wanted}. {_EXAMPLE}")
    return units[unit]
