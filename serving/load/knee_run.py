"""Looks for the knee of a running endpoint."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from plumbline.cli.output import progress_console
from plumbline.errors import UserError
from plumbline.settings import Settings
from serving.load.arrivals import Segment, due_times
from serving.load.bodies import postings_of, sample_bodies
from serving.load.endpoint import classify_path, require_endpoint
from serving.load.knee import Search, Step, find_knee
from serving.load.run import Postings, traffic_of
from serving.load.sending import Sending, send_traffic
from serving.load.summary import judge_generator, summarise

_REST_SECONDS = 1.0
"""After a rate that was too high, for what the endpoint still does for nobody."""


def run_knee(
    settings: Settings,
    search: Search,
    postings: Postings,
    sending: Sending,
    *,
    settle: float,
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    """Finds the knee with postings of a snapshot; Poisson arrivals.

    Args:
        settings: Name the object store.
        search: What to look for.
        postings: What to send.
        sending: How.
        settle: Seconds at each rate that are in no figure.
        seconds: Seconds at each rate that are measured.
        seed: Of arrivals and postings.

    Raises:
        UserError: A number makes no sense, or a step would be too short for its p99.
        MissingInputError: The snapshot is not there.
        DependencyError: Nothing answers at the address.
    """
    if settle < 0 or seconds <= 0:
        raise UserError("Give a settling time of 0 or more and a measured time above 0.")
    if search.low * seconds < 100:
        raise UserError(
            f"{search.low:g}/s for {seconds:g} s are less than the 100 requests that a p99 needs: give more."
        )
    path = classify_path(postings.model, batch=postings.batch is not None)
    require_endpoint(sending.url)
    frame = postings_of(settings, postings.snapshot, since=postings.since)
    quiet = replace(sending, progress=False)

    def measure(rate: float) -> Step:
        warm = due_times([Segment(settle, rate, rate)], "constant", seed) if settle else np.empty(0)
        due = np.concatenate([warm, settle + due_times([Segment(seconds, rate, rate)], "poisson", seed)])
        bodies, places = sample_bodies(frame, count=len(due), batch=postings.batch, seed=seed)
        sent = send_traffic(traffic_of(due, bodies, places, path, postings.batch or 1), quiet, warm_up=len(warm))
        measured = sent.exchanges.due_within(settle)
        figures = summarise(measured, sent.answers, seconds=seconds, budget_ms=search.budget_ms)
        own = judge_generator(sent.exchanges, measured, budget_ms=search.budget_ms, processes=sending.processes)
        step = Step(
            rate=rate,
            sent=figures["sent"],
            late=figures["sent"] - figures["good"],
            p99_ms=figures["p99_ms"],
            errors=figures["errors"] / figures["sent"],
            goodput=figures["goodput_rps"],
            generator_ok=own["generator_ok"],
        )
        held = search.holds(step)
        if sending.progress:
            p99 = "no answer" if step.p99_ms is None else f"p99 {step.p99_ms:.1f} ms"
            progress_console.print(
                f"  {rate:.0f}/s: {p99}, {100 * step.errors:.2f}% errors: {'holds' if held else 'does not hold'}"
            )
        if not held:
            time.sleep(_REST_SECONDS)
        return step

    return {
        "url": sending.url,
        "model": postings.model,
        "batch": postings.batch,
        "processes": sending.processes,
        **find_knee(measure, search, seconds=seconds),
    }
