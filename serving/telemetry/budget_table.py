"""Where a request's milliseconds go: the table of the latency budget, from the spans of a real run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson

from plumbline.errors import ContractError, MissingInputError

SINGLE = "classify"
TOTAL = "total"
REST = "rest"
"""What lies between the stages: waiting for the event loop, for the processor, for the interpreter's lock."""


@dataclass(frozen=True)
class StageCost:
    """One line of the table; milliseconds."""

    stage: str
    requests: int
    mean: float
    p50: float
    p99: float
    share: float
    """Of the mean request's time."""


def budget_table(path: Path, *, route: str = SINGLE) -> list[StageCost]:
    """Reads the spans of answered requests.

    Args:
        path: What `serving.telemetry.trace_file` names.
        route: Whose: `classify` or `classify:batch`, which have stages of their own.

    Returns:
        The stages in the order in which they begin, then what lies between them, then the whole.

    Raises:
        MissingInputError: There is no such file, or no answered request of the route in it.
        ContractError: A line is no span.
    """
    if not path.is_file():
        raise MissingInputError(f"{path} is not there. Serve with PLUMBLINE_SERVING__TELEMETRY__TRACE_FILE={path}.")
    roots: dict[str, float] = {}
    starts: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, dict[str, float]] = defaultdict(dict)
    children: list[tuple[str, str, float, int]] = []
    begun: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            span = orjson.loads(line)
            if "request_id" in span["attributes"]:
                if span["failed"] is None and span["name"] == route:
                    roots[span["span_id"]] = span["ms"]
                    begun[span["span_id"]] = span["start_ns"]
            else:
                children.append((span["parent_id"], span["name"], span["ms"], span["start_ns"]))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ContractError(f"{path}, line {number}: not a span ({error!r}). Was the file cut short?") from error
    for parent, name, milliseconds, start in children:
        if parent in roots:
            stages[name][parent] = stages[name].get(parent, 0.0) + milliseconds
            starts[name].append((start - begun[parent]) / 1e6)
    if not roots:
        raise MissingInputError(
            f"{path} holds no answered request of {route}. Send some, with serving.telemetry.trace_share 1."
        )
    mean = float(np.mean(list(roots.values())))
    order = sorted(stages, key=lambda name: float(np.median(starts[name])))
    rest = [total - sum(times.get(root, 0.0) for times in stages.values()) for root, total in roots.items()]
    rows = [_cost(name, list(stages[name].values()), mean, len(roots)) for name in order]
    return [*rows, _cost(REST, rest, mean, len(roots)), _cost(TOTAL, list(roots.values()), mean, len(roots))]


def as_markdown(rows: list[StageCost]) -> str:
    """The table, Markdown."""
    lines = ["| stage | mean ms | p50 ms | p99 ms | share |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.stage} | {row.mean:.3f} | {row.p50:.3f} | {row.p99:.3f} | {100 * row.share:.0f}% |" for row in rows
    ]
    return "\n".join(lines)


def as_json(rows: list[StageCost]) -> list[dict[str, object]]:
    """The table, as objects."""
    return [asdict(row) for row in rows]


def _cost(stage: str, milliseconds: list[float], mean_total: float, requests: int) -> StageCost:
    values = np.array(milliseconds)
    mean = float(values.sum() / requests)
    p50, p99 = (float(np.percentile(values, q)) for q in (50, 99))
    return StageCost(stage, len(values), round(mean, 4), round(p50, 4), round(p99, 4), round(mean / mean_total, 4))
