"""The loads, and what one repeat of one of them came to."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.running import ServingProcess, busy_seconds, cpu_seconds
from plumbline.errors import UserError
from serving.load.arrivals import Segment, due_times
from serving.load.client import send_all, send_closed
from serving.load.exchanges import Exchanges

BUDGET_SECONDS = 0.05
TIMEOUT_SECONDS = 2.0
"""After which a request is an error: forty budgets."""


@dataclass(frozen=True)
class Load:
    """One load: `clients` for a closed loop, `rate` for an open one.

    Attributes:
        name: For options and rows.
        clients: Requests under way at a time.
        rate: Requests per second, Poisson arrivals.
        batch: Postings per request, for the batch route.
    """

    name: str
    clients: int = 0
    rate: float = 0.0
    batch: int = 1


LOADS = (
    *(Load(f"{clients} client{'s' if clients > 1 else ''}", clients=clients) for clients in (1, 16, 64)),
    *(Load(f"{rate}/s", rate=rate) for rate in (100, 300, 463, 900, 1500)),
)
BATCH_LOADS = tuple(
    Load(f"batch {batch}, {clients} client{'s' if clients > 1 else ''}", clients=clients, batch=batch)
    for batch in (64, 256)
    for clients in (1, 2)
)
"""Of our batch route alone: closed loop, few clients."""


@dataclass
class Sample:
    """One repeat of one load. Seconds, and counts of requests.

    Attributes:
        latency: Of the requests that were answered with 200, from the intended send time, shape (answered,).
        sent: Requests.
        seconds: Over which they were due.
        span: From the first due time to the last end.
        errors: Of the others, by kind.
        system_cpu: Of all processes of the system.
        system_cpu_by_name: The same, by name of the process.
        generator_cpu: Of the load generator.
        others_cpu: Of everything else on the machine, in cores: what disturbed the measurement.
        lag_p99: By which the generator itself was late.
        memory_mb: Of the system, right after the load.
        batch: Postings per request.
        requests_with_warm_up: All that `system_cpu` and `generator_cpu` were used for.
    """

    latency: NDArray[np.float64]
    sent: int
    seconds: float
    span: float
    errors: dict[str, int]
    system_cpu: float
    generator_cpu: float
    others_cpu: float
    lag_p99: float
    memory_mb: float
    requests_with_warm_up: int
    batch: int = 1
    system_cpu_by_name: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> int:
        """Requests that were answered inside the budget."""
        return int((self.latency <= BUDGET_SECONDS).sum())


def select_loads(names: Sequence[str] | None) -> tuple[Load, ...]:
    """The loads with these names; all if there is None.

    Raises:
        UserError: There is no such load.
    """
    if names is None:
        return (*LOADS, *BATCH_LOADS)
    known = {load.name: load for load in (*LOADS, *BATCH_LOADS)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"There is no load {unknown[0]!r}: choose among {', '.join(map(repr, known))}.")
    return tuple(known[name] for name in names)


def put_load(
    running: ServingProcess, url: str, load: Load, bodies: Sequence[bytes], *, seconds: float, warm_up: float, seed: int
) -> Sample:
    """Puts one load on a system, under request ids that no other load has.

    Args:
        running: The system.
        url: Its route.
        load: What to put on it.
        bodies: Sent in turn.
        seconds: How long requests are due that count.
        warm_up: How long the same load goes on before, in no figure but the CPU time per request.
        seed: Of the arrivals.
    """
    processes = running.processes()
    before, busy_before, start = cpu_seconds(processes), busy_seconds(), time.monotonic()
    ids = f"bench-{secrets.token_hex(6)}"
    if load.rate:
        exchanges, measured = _open(url, load.rate, bodies, ids, seconds, warm_up, seed)
    else:
        exchanges, measured = _closed(url, load.clients, bodies, ids, seconds, warm_up)
    passed, busy, after = time.monotonic() - start, busy_seconds() - busy_before, cpu_seconds(processes)
    used = {pid: cpu - before[pid][1] for pid, (_, cpu) in after.items() if pid in before}
    by_name: dict[str, float] = {}
    for pid, cpu in used.items():
        by_name[after[pid][0]] = by_name.get(after[pid][0], 0.0) + cpu
    generator = sum(part.cpu_seconds for part in exchanges)
    system = sum(used.values())
    answered = measured.answered
    return Sample(
        latency=measured.latency[answered],
        sent=len(measured),
        seconds=seconds if load.rate else float(measured.ended.max() - measured.due[0]),
        span=float(measured.ended.max() - measured.due[0]),
        errors=measured.errors_by_kind(),
        system_cpu=system,
        generator_cpu=generator,
        others_cpu=max(0.0, (busy - system - generator) / passed),
        lag_p99=float(np.percentile(measured.lag, 99)),
        memory_mb=running.memory_mb(),
        requests_with_warm_up=sum(len(part) for part in exchanges),
        batch=load.batch,
        system_cpu_by_name=by_name,
    )


def _open(
    url: str, rate: float, bodies: Sequence[bytes], ids: str, seconds: float, warm_up: float, seed: int
) -> tuple[list[Exchanges], Exchanges]:
    due = due_times([Segment(warm_up + seconds, rate, rate)], "poisson", seed)
    exchanges = send_all(
        url,
        list(itertools.islice(itertools.cycle(bodies), len(due))),
        due,
        request_ids=[f"{ids}-{number}" for number in range(len(due))],
        timeout=TIMEOUT_SECONDS,
    )
    return [exchanges], exchanges.due_within(warm_up)


def _closed(
    url: str, clients: int, bodies: Sequence[bytes], ids: str, seconds: float, warm_up: float
) -> tuple[list[Exchanges], Exchanges]:
    warm = send_closed(url, bodies, clients=clients, seconds=warm_up, timeout=TIMEOUT_SECONDS, id_prefix=f"{ids}-warm")
    exchanges = send_closed(url, bodies, clients=clients, seconds=seconds, timeout=TIMEOUT_SECONDS, id_prefix=ids)
    return [warm, exchanges], exchanges
