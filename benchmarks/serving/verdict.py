"""Whether the targets are met, from the rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.serving.systems import OURS, RIVALS, SAME_WORK, SYSTEMS

Row = Mapping[str, Any]

BUDGET_MS = 50.0
TIMES_THE_RIVALS = 2.0
LEVEL = 0.95
"""Two systems are level where ours has at least this share of the other's goodput: repeats differ by as much."""
SHARE_OF_LIMIT = 0.5
PROMISED_LOAD = "463/s"
"""40 million postings a day."""


def verdict(rows: Sequence[Row], limit: float | None) -> dict[str, Any]:
    """Each target: what it asks, what was measured, whether it is met. What was not measured is not met.

    Args:
        rows: Of all systems and loads.
        limit: Postings per second of the model called in process, None where that was not measured.
    """
    single = [row for row in rows if not str(row["load"]).startswith("batch")]
    targets = {
        "goodput_over_rivals": _over_rivals(single),
        "level_with_same_work": _level(single),
        "promised_rate": _promised(single),
        "batch_share_of_limit": _batch_share(rows, limit),
    }
    return {"met": all(target["met"] for target in targets.values()), "targets": targets}


def best_goodput(rows: Iterable[Row], system: str) -> Row | None:
    """The row of a system with the greatest goodput, over all loads, and over all its options that were measured."""
    own = [row for row in rows if row["system"] in _options_of(system) and row["goodput_rps"] is not None]
    return max(own, key=lambda row: row["goodput_rps"]) if own else None


def _over_rivals(rows: Sequence[Row]) -> dict[str, Any]:
    ours = best_goodput(rows, OURS)
    bests = [best for best in (best_goodput(rows, name) for name in RIVALS) if best is not None]
    asked = (
        f"best goodput inside {BUDGET_MS:.0f} ms at least {TIMES_THE_RIVALS:g} times the best of {', '.join(RIVALS)}"
    )
    missing = [name for name in RIVALS if best_goodput(rows, name) is None]
    if ours is None or missing:
        return _not_measured(asked, [OURS] if ours is None else missing)
    rival = max(bests, key=lambda row: row["goodput_rps"])
    ratio = _ratio(ours["goodput_rps"], rival["goodput_rps"])
    return {
        "asked": asked,
        "measured": f"{ours['goodput_rps']:.0f}/s ({ours['load']}) to {rival['goodput_rps']:.0f}/s "
        f"({rival['system']}, {rival['load']})",
        "ratio": ratio,
        "by_load": _by_load(rows, RIVALS),
        "met": ratio >= TIMES_THE_RIVALS,
    }


def _level(rows: Sequence[Row]) -> dict[str, Any]:
    ours, other = best_goodput(rows, OURS), best_goodput(rows, SAME_WORK)
    asked = f"best goodput at least {LEVEL:.0%} of {SAME_WORK}'s"
    if ours is None or other is None:
        return _not_measured(asked, [OURS] if ours is None else [SAME_WORK])
    ratio = _ratio(ours["goodput_rps"], other["goodput_rps"])
    return {
        "asked": asked,
        "measured": f"{ours['goodput_rps']:.0f}/s ({ours['load']}) to {other['goodput_rps']:.0f}/s ({other['load']})",
        "ratio": ratio,
        "by_load": _by_load(rows, (SAME_WORK,)),
        "met": ratio >= LEVEL,
    }


def _promised(rows: Sequence[Row]) -> dict[str, Any]:
    asked = f"{PROMISED_LOAD} with a p99 below {BUDGET_MS:.0f} ms and no error"
    own = [row for row in rows if row["system"] == OURS and row["load"] == PROMISED_LOAD]
    if not own:
        return _not_measured(asked, [f"{OURS} at {PROMISED_LOAD}"])
    p99, errors = own[0]["p99_ms"], own[0]["errors"]
    return {
        "asked": asked,
        "measured": f"p99 {p99} ms, {errors} errors of {own[0]['sent']}",
        "met": p99 is not None and p99 < BUDGET_MS and errors == 0,
    }


def _batch_share(rows: Sequence[Row], limit: float | None) -> dict[str, Any]:
    asked = f"batch route at least {SHARE_OF_LIMIT:.0%} of the model called in process"
    own = [row for row in rows if row["system"] == OURS and str(row["load"]).startswith("batch")]
    if not own or not limit:
        return _not_measured(asked, ["the limit"] if own else [f"{OURS}'s batch route"])
    best = max(own, key=lambda row: row["postings_per_second"])
    ratio = _ratio(best["postings_per_second"], limit)
    return {
        "asked": asked,
        "measured": f"{best['postings_per_second']:.0f} postings/s ({best['load']}) of {limit:.0f}",
        "ratio": ratio,
        "met": ratio >= SHARE_OF_LIMIT,
    }


def _by_load(rows: Sequence[Row], others: Sequence[str]) -> dict[str, float | None]:
    """Our goodput by load, in multiples of the best of the others; None where they have none."""
    ratios: dict[str, float | None] = {}
    counted = frozenset[str]().union(*map(_options_of, others))
    for own in (row for row in rows if row["system"] == OURS):
        rivals = [row["goodput_rps"] or 0.0 for row in rows if row["load"] == own["load"] and row["system"] in counted]
        best = max(rivals, default=0.0)
        ratios[own["load"]] = _ratio(own["goodput_rps"] or 0.0, best) if best else None
    return ratios


def _options_of(name: str) -> frozenset[str]:
    return frozenset({name} | {system.name for system in SYSTEMS if system.stands_for == name})


def _ratio(one: float, other: float) -> float:
    return round(one / other, 3) if other else float("inf")


def _not_measured(asked: str, missing: Sequence[str]) -> dict[str, Any]:
    return {"asked": asked, "measured": f"not measured: {', '.join(missing)}", "met": False}
