"""The rounds: in each, one system after the other is started, warmed up, put under every load, and stopped.

Only one system runs at a time, since the others' processes would cost memory and CPU even at rest. Each round begins
with another system, so that none always follows the same one, and drifts of the machine fall on all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.serving.command import say
from benchmarks.serving.loads import Load, Sample, put_load
from benchmarks.serving.running import ServingProcess, serving
from benchmarks.serving.systems import OURS, Place, System
from plumbline.errors import PlumblineError
from serving.load.bodies import join_batch
from serving.load.client import send_closed

_LEARNING_CLIENTS = (2, 16)
_BATCH_BODIES = 40


@dataclass
class Findings:
    """What was found of one system.

    Attributes:
        samples: Repeats by load.
        start_seconds: From the command to the first answer.
        stop_seconds: From SIGTERM until no process is left.
        rest_mb: Memory after the warm-up.
        processes: Number of them.
        failure: Why it was given up; None if it was not.
    """

    samples: dict[Load, list[Sample]] = field(default_factory=dict)
    start_seconds: list[float] = field(default_factory=list)
    stop_seconds: list[float] = field(default_factory=list)
    rest_mb: list[float] = field(default_factory=list)
    processes: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        systems: Which systems.
        loads: Which loads; those of the batch route are put on ours alone.
        repeats: Rounds.
        seconds: Per load.
        warm_up: Seconds of the same load before.
    """

    systems: Sequence[System]
    loads: Sequence[Load]
    repeats: int
    seconds: float
    warm_up: float


def play(
    plan: Plan,
    place: Callable[[int], Place],
    postings: Sequence[bytes],
    labels: Sequence[str],
    *,
    learn_seconds: float = 2.0,
) -> dict[str, Findings]:
    """Plays all rounds; progress goes to standard error.

    A system that does not start, does not come to rest, or answers something else than the model is given up: what the
    others have come to is kept.

    Args:
        plan: What is measured.
        place: Where the system of this number may be.
        postings: JSON of each.
        labels: What the model itself says to the first of them.
        learn_seconds: Of load of each of two sizes after a start: adaptive batchers learn, caches and graphs fill.
    """
    found = {system.name: Findings() for system in plan.systems}
    for repeat in range(plan.repeats):
        turn = repeat % len(plan.systems)
        for number, system in enumerate([*plan.systems[turn:], *plan.systems[:turn]]):
            own = found[system.name]
            if own.failure is not None:
                continue
            say(f"round {repeat + 1} of {plan.repeats}: {system.title} ({number + 1} of {len(plan.systems)}) ...")
            try:
                _visit(system, place(plan.systems.index(system)), plan, postings, labels, own, repeat, learn_seconds)
            except PlumblineError as error:
                own.failure = str(error)
                say(f"  given up: {error}")
    return found


def _visit(
    system: System,
    place: Place,
    plan: Plan,
    postings: Sequence[bytes],
    labels: Sequence[str],
    found: Findings,
    seed: int,
    learn_seconds: float,
) -> None:
    bodies = [system.body(posting) for posting in postings]
    with serving(system, place, bodies[0]) as running:
        found.start_seconds.append(running.start_seconds)
        _check(running, bodies, labels)
        for clients in _LEARNING_CLIENTS:
            send_closed(running.url, bodies, clients=clients, seconds=learn_seconds, timeout=10.0, id_prefix="start")
        running.settle(bodies[0])
        found.rest_mb.append(running.memory_mb())
        found.processes = len(running.processes())
        for load in plan.loads:
            if load.batch > 1 and system.name != OURS:
                continue
            running.settle(bodies[0])
            sample = _put(running, load, plan, postings, bodies, seed)
            found.samples.setdefault(load, []).append(sample)
            say(_line(load, sample))
        stopping = time.monotonic()
    found.stop_seconds.append(time.monotonic() - stopping)


def _put(
    running: ServingProcess, load: Load, plan: Plan, postings: Sequence[bytes], bodies: Sequence[bytes], seed: int
) -> Sample:
    url = running.url
    if load.batch > 1:
        url = f"{url}:batch"
        starts = range(0, _BATCH_BODIES * load.batch, load.batch)
        bodies = [
            join_batch([postings[(start + row) % len(postings)] for row in range(load.batch)]) for start in starts
        ]
    return put_load(running, url, load, bodies, seconds=plan.seconds, warm_up=plan.warm_up, seed=seed)


def _check(running: ServingProcess, bodies: Sequence[bytes], labels: Sequence[str]) -> None:
    """The system serves this model: by title and description alone its answers are the model's own."""
    answers = [running.label_of(body) for body in bodies[: len(labels)]]
    same = float(np.mean([one == other for one, other in zip(answers, labels, strict=True)]))
    # With features some answers differ; another model, or one that is broken, would differ in most.
    least = 1.0 if running.system.model_only else 0.5
    if same < least:
        raise PlumblineError(
            f"{running.system.title} gives the model's own answer to {same:.0%} of the postings only: it "
            "serves another one."
        )


def _line(load: Load, sample: Sample) -> str:
    latency = sample.latency
    percentiles = [1000 * float(np.percentile(latency, share)) for share in (50, 99)] if len(latency) else []
    shown: Any = "/".join(f"{value:.1f}" for value in percentiles) or "–"
    return (
        f"    {load.name:>20}: {len(latency) / sample.span:7.0f}/s, "
        f"inside 50 ms {sample.good / sample.seconds:7.0f}/s, "
        f"p50/p99 {shown} ms, errors {sum(sample.errors.values())}, "
        f"CPU {1000 * sample.system_cpu / sample.requests_with_warm_up:.2f} ms per request, "
        f"others {sample.others_cpu:.2f} cores"
    )
