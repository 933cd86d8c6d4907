"""One load run: warm up, measure, say what came out."""

from __future__ import annotations

import platform
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.settings import Settings
from plumbline.system import usable_cores
from serving.load.arrivals import due_times, rate_over_time
from serving.load.bodies import postings_of, sample_bodies
from serving.load.endpoint import classify_path, require_endpoint
from serving.load.exchanges import Exchanges
from serving.load.histograms import Latencies, write_log
from serving.load.plan import LoadPlan
from serving.load.precise_timer import timer_name
from serving.load.sending import Sending, Sent, send_traffic
from serving.load.slo import Objective, judge
from serving.load.summary import by_second, judge_generator, summarise
from serving.load.traffic import Traffic
from serving.prediction_log import read


@dataclass(frozen=True)
class Postings:
    """Which postings are sent where.

    Attributes:
        snapshot: Id, unique prefix, or `latest`.
        since: Only postings published at or after this instant.
        model: Name of a model other than the default one.
        batch: Postings per request to the batch route; None: the route for single postings.
    """

    snapshot: str
    since: datetime | None = None
    model: str | None = None
    batch: int | None = None


@dataclass(frozen=True)
class Judging:
    """What the result is held against and where its details go.

    Attributes:
        budget_ms: Latency budget; answers inside it are good ones.
        objectives: Conditions; none: no error, and p99 inside the budget.
        verify_log: Look every answered request up in the prediction log.
        hdr_log: File for a histogram per second, in HdrHistogram's own format.
    """

    budget_ms: float
    objectives: tuple[Objective, ...] = ()
    verify_log: bool = False
    hdr_log: Path | None = None


def run_load(
    settings: Settings, plan: LoadPlan, postings: Postings, sending: Sending, judging: Judging
) -> dict[str, Any]:
    """Runs a plan with postings of a snapshot.

    Raises:
        UserError: The address or a header cannot be used.
        MissingInputError: The snapshot is not there.
        DependencyError: Nothing answers at the address.
    """
    path = classify_path(postings.model, batch=postings.batch is not None)
    require_endpoint(sending.url)
    warm = due_times(plan.warm_up(), "constant", plan.seed)
    due = np.concatenate([warm, plan.warm_up_seconds + due_times(plan.segments(), plan.arrivals, plan.seed)])
    frame = postings_of(settings, postings.snapshot, since=postings.since)
    bodies, places = sample_bodies(frame, count=len(due), batch=postings.batch, seed=plan.seed)
    traffic = traffic_of(due, bodies, places, path, postings.batch or 1)
    sent = send_traffic(traffic, sending, warm_up=len(warm))
    described = {
        "arrivals": plan.arrivals,
        "target_rate": round(sum(part.requests for part in plan.segments()) / plan.seconds, 3),
        "duration_seconds": plan.seconds,
        "batch": postings.batch,
        "model": postings.model,
        "plan": plan.model_dump(mode="json"),
        "rate_corners": rate_over_time(plan.segments()),
    }
    return result_of(settings, traffic, sent, sending, judging, described, plan.warm_up_seconds, plan.seconds)


def traffic_of(
    due: NDArray[np.float64], bodies: list[bytes], places: NDArray[np.int64], path: str, postings: int
) -> Traffic:
    """Traffic on one route, with a run id of its own."""
    return Traffic(
        due,
        bodies,
        [path] * len(bodies),
        [postings] * len(bodies),
        places,
        f"load-{secrets.token_hex(4)}",
        np.arange(len(due)),
    )


def result_of(
    settings: Settings,
    traffic: Traffic,
    sent: Sent,
    sending: Sending,
    judging: Judging,
    described: dict[str, Any],
    warm_up_seconds: float,
    seconds: float,
) -> dict[str, Any]:
    """Everything that a run has found out; `described` says what was asked for."""
    exchanges = sent.exchanges
    measured = exchanges.due_within(warm_up_seconds)
    budget_ms = judging.budget_ms
    result = {
        "url": sending.url,
        "run_id": traffic.run_id,
        **described,
        "processes": sending.processes,
        "send_timer": timer_name(),
        "warm_up": _warm_up(warm_up_seconds, exchanges.due_within(0, warm_up_seconds)),
        **summarise(measured, sent.answers, seconds=seconds, budget_ms=budget_ms),
        **judge_generator(exchanges, measured, budget_ms=budget_ms, processes=sending.processes),
        "machine": {
            "processors": usable_cores(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }
    result["slo"] = judge(list(judging.objectives), result)
    result["slo_met"] = (
        all(row["met"] for row in result["slo"])
        if judging.objectives
        else result["errors"] == 0 and result["p99_ms"] is not None and result["p99_ms"] <= budget_ms
    )
    if judging.verify_log:
        result["log"] = _verify_log(settings, traffic, sent)
    if judging.hdr_log is not None:
        write_log(judging.hdr_log, measured, started_at=sent.started_at)
    result["percentile_curve"] = Latencies(measured.latency[measured.answered]).curve()
    result["by_second"] = by_second(measured, budget_ms=budget_ms)
    return result


def _warm_up(seconds: float, exchanges: Exchanges) -> dict[str, Any]:
    """What was sent before the measurement and is in none of its figures."""
    return {
        "seconds": seconds,
        "sent": len(exchanges),
        "errors": len(exchanges) - int(exchanges.answered.sum()),
    }


def _verify_log(settings: Settings, traffic: Traffic, sent: Sent) -> dict[str, int]:
    """Looks every answered request up in the prediction log, warm-up included; of a batch, each answered row."""
    request_ids = traffic.request_ids()
    answered: set[str] = set()
    for number in np.flatnonzero(sent.exchanges.answered).tolist():
        place = traffic.places[number]
        if traffic.paths[place].endswith(":batch"):
            rows = (row for row in range(traffic.postings[place]) if (number, row) not in sent.answers.refused)
            answered.update(f"{request_ids[number]}/{row}" for row in rows)
        else:
            answered.add(request_ids[number])
    # An hour for clocks that differ; the rest of the log need not be read.
    since = datetime.fromtimestamp(sent.started_at, UTC) - timedelta(hours=1)
    logged = set(read(settings, since=since, columns=("request_id",))["request_id"])
    return {"answered": len(answered), "found": len(answered & logged), "missing": len(answered - logged)}
