"""One load run: warm up, measure, say what came out."""

from __future__ import annotations

import platform
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np

from plumbline.errors import DependencyError, UserError
from plumbline.settings import Settings
from serving.load.answers import AnswerReader
from serving.load.arrivals import Arrivals, due_times
from serving.load.bodies import sample_bodies
from serving.load.client import send_all
from serving.load.exchanges import Exchanges
from serving.load.report import summarise
from serving.prediction_log import read

CLASSIFY_PATH = "/v1/classify"


@dataclass(frozen=True)
class LoadPlan:
    """What to send where. Rates per second, durations in seconds."""

    url: str
    rate: float
    duration: float
    warm_up: float
    snapshot: str
    since: datetime | None
    arrivals: Arrivals
    budget_ms: float
    timeout: float
    seed: int
    verify_log: bool


def run_load(settings: Settings, plan: LoadPlan) -> dict[str, Any]:
    """Runs the plan.

    Raises:
        UserError: A number of the plan makes no sense, or the address is not http(s).
        MissingInputError: The snapshot is not there.
        DependencyError: Nothing answers at the address.
    """
    if plan.rate <= 0 or plan.duration <= 0 or plan.warm_up < 0 or plan.rate * plan.duration < 1:
        raise UserError(
            "Give a rate and a duration above 0 that make at least one request, and a warm-up of 0 or more."
        )
    if urlsplit(plan.url).scheme not in ("http", "https"):
        raise UserError(f"{plan.url!r} is not an address: give one such as http://127.0.0.1:8000.")
    _require_endpoint(plan.url)
    warm = due_times(plan.rate, plan.warm_up, "constant", plan.seed)
    measured = plan.warm_up + due_times(plan.rate, plan.duration, plan.arrivals, plan.seed)
    due = np.concatenate([warm, measured])
    bodies = sample_bodies(settings, plan.snapshot, count=len(due), since=plan.since, seed=plan.seed)
    run_id = f"load-{secrets.token_hex(4)}"
    request_ids = [f"{run_id}-{number}" for number in range(len(due))]
    answers = AnswerReader(len(warm))
    exchanges = send_all(
        plan.url.rstrip("/") + CLASSIFY_PATH,
        bodies,
        due,
        request_ids=request_ids,
        timeout=plan.timeout,
        on_answer=answers.take,
    )
    result = {
        "url": plan.url,
        "run_id": run_id,
        "arrivals": plan.arrivals,
        "target_rate": plan.rate,
        "duration_seconds": plan.duration,
        "warm_up": _warm_up(plan, exchanges.due_within(0, plan.warm_up)),
        **summarise(exchanges.due_within(plan.warm_up), answers, budget_ms=plan.budget_ms),
        "machine": {"processors": _processors(), "python": platform.python_version(), "system": platform.platform()},
    }
    result["slo_met"] = (
        result["errors"] == 0 and result["p99_ms"] is not None and result["p99_ms"] <= result["budget_ms"]
    )
    if plan.verify_log:
        result["log"] = _verify_log(settings, exchanges, request_ids)
    return result


def _warm_up(plan: LoadPlan, exchanges: Exchanges) -> dict[str, Any]:
    """What was sent before the measurement and is in none of its figures."""
    return {
        "seconds": plan.warm_up,
        "sent": len(exchanges),
        "errors": len(exchanges) - int(exchanges.answered.sum()),
    }


def _verify_log(settings: Settings, exchanges: Exchanges, request_ids: list[str]) -> dict[str, int]:
    """Looks every answered request up in the prediction log, warm-up included."""
    answered = {request_ids[number] for number in np.flatnonzero(exchanges.answered)}
    logged = set(read(settings)["request_id"])
    return {"answered": len(answered), "found": len(answered & logged), "missing": len(answered - logged)}


def _require_endpoint(url: str) -> None:
    try:
        httpx.get(url.rstrip("/") + "/healthz", timeout=5.0)
    except httpx.HTTPError as error:
        raise DependencyError(f"Nothing answers at {url} ({error}). Start it with `plumbline serve run`.") from error


def _processors() -> int:
    import os

    return len(os.sched_getaffinity(0))
