"""The engine without sockets: CPU per query around the model, batch requests, and what overload leaves of the goodput.

Needs a home that holds a champion, applied features and a snapshot (after `plumbline demo`, for one):

    PLUMBLINE_HOME=build/home OMP_NUM_THREADS=1 python benchmarks/engine.py --since 2026-06-22

Intake (parsing, validation, masking) is not part of it. CPU counts all threads of the process, the benchmark's own
work included: creating a query, awaiting its answer, writing its body.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from plumbline.data.contract import PostingRequest
from plumbline.data.snapshot import SnapshotStore
from plumbline.features.online import OnlineFeatureReader
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.engine.assembly import assemble
from serving.engine.engine import Engine
from serving.engine.lane import Lane
from serving.engine.query import Answer, Query
from serving.engine.registry_source import RegistryModels
from serving.errors import RequestRefusedError
from serving.prediction_log.log import PredictionLog
from serving.telemetry.metrics import Metrics

_LIMIT_SIZES = (1, 4, 16, 64, 256)
_BULK_SIZES = (16, 64, 256)
_OVERLOAD = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Bench:
    """What the measurements share."""

    engine: Engine
    postings: list[PostingRequest]
    budget: float
    seconds: float

    @property
    def lane(self) -> Lane:
        return self.engine.lane()

    def queries(self) -> Iterator[PostingRequest]:
        return itertools.cycle(self.postings)


def main() -> None:
    """Runs the measurements and prints a table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--since", help="only postings since then; choose the instant that features are served from")
    parser.add_argument("--snapshot", default="latest")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds per measurement")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--overload", type=float, nargs="*", default=list(_OVERLOAD), help="times the capacity")
    parser.add_argument("--capacity", type=float, help="queries/s; measured with 64 concurrent clients otherwise")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as folder:
        result = uvloop.run(_measure(arguments, Path(folder)))
    print(json.dumps(result, indent=2) if arguments.json else _table(result))


async def _measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    settings = load_settings()
    serving = settings.serving
    name = settings.tracking.model_name
    log = PredictionLog(folder / "spool", serving.log)
    engine = assemble(
        settings,
        models=lambda model: RegistryModels(settings, model),
        features=OnlineFeatureReader(settings, keep_seconds=serving.features_cache_seconds),
        log=log,
        metrics=Metrics({name: serving.latency_budget_ms / 1000}),
    )
    postings = _postings(settings, arguments.snapshot, arguments.since)
    gc.collect()
    gc.freeze()  # as a replica does once it is built
    bench = Bench(engine, postings, serving.latency_budget_ms / 1000, arguments.seconds)
    result: dict[str, Any] = {"postings": len(postings), "budget_ms": serving.latency_budget_ms}
    _say("the model in process")
    result["limit"] = [_limit(bench, size) for size in _LIMIT_SIZES]
    result["closed_loop"] = []
    for concurrency in arguments.concurrency:
        _say(f"{concurrency} concurrent clients")
        result["closed_loop"].append(await _closed_loop(bench, concurrency))
    result["bulk"] = []
    for size in _BULK_SIZES:
        _say(f"batch requests of {size}")
        result["bulk"].append(await _bulk(bench, size))
    capacity = arguments.capacity or (await _closed_loop(bench, 64))["rps"]
    result["overload"] = []
    for factor in arguments.overload:
        _say(f"{factor} times {capacity:.0f} queries/s")
        result["overload"].append({"load": factor} | await _open_loop(bench, factor * capacity))
    await engine.close()
    log.close()
    return result


def _postings(settings: Settings, snapshot: str, since: str | None) -> list[PostingRequest]:
    frame = SnapshotStore(open_store(settings)).read(snapshot)
    if since is not None:
        frame = frame[frame["event_timestamp"] >= since]
    fields = list(PostingRequest.model_fields)
    lines = frame[fields].to_json(orient="records", lines=True, date_format="iso", date_unit="us").splitlines()
    random.Random(1).shuffle(lines)
    return [PostingRequest.model_validate_json(line) for line in lines]


def _limit(bench: Bench, size: int) -> dict[str, Any]:
    """The model alone, called with records that are ready."""
    model = bench.lane.variants.champion.current.model
    records = [{"title": posting.title, "description": posting.description} for posting in bench.postings]
    cpu, wall, count = time.process_time(), time.monotonic(), 0
    while time.monotonic() - wall < bench.seconds:
        start = count % max(1, len(records) - size)
        model.forward(model.encode(records[start : start + size]))
        count += size
    return _rates(count, time.process_time() - cpu, time.monotonic() - wall) | {"batch": size}


async def _closed_loop(bench: Bench, concurrency: int) -> dict[str, Any]:
    """Clients that each send their next query when they have their answer."""
    postings, end = bench.queries(), time.monotonic() + bench.seconds
    latencies: list[float] = []
    refused: Counter[str] = Counter()
    stages: list[tuple[float, float, float, float]] = []

    async def client() -> None:
        while (now := time.monotonic()) < end:
            try:
                answer = await bench.lane.answer(Query(next(postings), f"c{now}", now, now + bench.budget))
            except RequestRefusedError as error:
                refused[error.title] += 1
                await asyncio.sleep(0.01)
                continue
            answer.body()
            latencies.append(time.monotonic() - now)
            timings = answer.timings
            stages.append((timings.queue, timings.features, timings.encode, timings.model))

    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    rates = _rates(len(latencies), time.process_time() - cpu, time.monotonic() - wall)
    means = np.array(stages).mean(axis=0)
    return (
        {"concurrency": concurrency}
        | rates
        | _percentiles(latencies)
        | {"refused": dict(refused)}
        | dict(zip(("queue_ms", "features_ms", "encode_ms", "model_ms"), means.round(2).tolist(), strict=True))
    )


async def _bulk(bench: Bench, size: int) -> dict[str, Any]:
    """Two clients of the batch endpoint."""
    postings, end = bench.queries(), time.monotonic() + bench.seconds
    answered = 0

    async def client() -> None:
        nonlocal answered
        while (now := time.monotonic()) < end:
            queries = [Query(next(postings), f"b{now}/{row}", now, now + 10.0) for row in range(size)]
            for answer in await bench.lane.answer_all(queries):
                if isinstance(answer, Answer):
                    answer.body()
                    answered += 1

    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.gather(client(), client())
    return {"request": size} | _rates(answered, time.process_time() - cpu, time.monotonic() - wall)


async def _open_loop(bench: Bench, rate: float) -> dict[str, Any]:
    """Poisson arrivals that do not wait for answers; latency counts from the instant at which a query was due."""
    postings, draw = bench.queries(), random.Random(2)
    latencies: list[float] = []
    refused: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()

    async def client(due: float) -> None:
        received = time.monotonic()
        try:
            answer = await bench.lane.answer(Query(next(postings), f"o{due}", received, received + bench.budget))
        except RequestRefusedError as error:
            refused[f"{error.status} {error.title}"] += 1
            return
        answer.body()
        latencies.append(time.monotonic() - due)

    cpu, start = time.process_time(), time.monotonic()
    due, sent, lags = start, 0, []
    while due - start < bench.seconds:
        now = time.monotonic()
        if due > now:
            await asyncio.sleep(due - now)
            continue
        lags.append(now - due)
        sent += 1
        if (refusal := bench.lane.overloaded(bench.budget)) is not None:  # as at the headers, before there is a task
            refused[f"{refusal.status} {refusal.title}"] += 1
            due += draw.expovariate(rate)
            continue
        task = asyncio.create_task(client(due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        due += draw.expovariate(rate)
    await asyncio.gather(*under_way)
    wall = time.monotonic() - start
    within = sum(latency <= bench.budget for latency in latencies)
    return {
        "rate": round(rate),
        "sent": sent,
        "answered": len(latencies),
        "goodput_rps": round(within / wall),
        "late": len(latencies) - within,
        "refused": dict(refused),
        "send_lag_p99_ms": round(1000 * float(np.quantile(lags, 0.99)), 1),
        "cpu": round((time.process_time() - cpu) / wall, 2),
    } | _percentiles(latencies)


def _rates(count: int, cpu: float, wall: float) -> dict[str, Any]:
    return {"cpu_us": round(1e6 * cpu / max(count, 1), 1), "rps": round(count / wall)}


def _percentiles(seconds: Sequence[float]) -> dict[str, Any]:
    if not seconds:
        return {"p50_ms": None, "p99_ms": None}
    p50, p99 = np.quantile(seconds, (0.5, 0.99))
    return {"p50_ms": round(1000 * float(p50), 2), "p99_ms": round(1000 * float(p99), 2)}


def _table(result: dict[str, Any]) -> str:
    each = [(f"model, batches of {row['batch']}", row) for row in result["limit"]]
    each += [(f"{row['concurrency']} clients", row) for row in result["closed_loop"]]
    each += [(f"batch requests of {row['request']}", row) for row in result["bulk"]]
    head = f"{'':<24}{'CPU µs each':>12}{'each/s':>9}{'p50 ms':>9}{'p99 ms':>9}"
    rows = [
        f"{name:<24}{row['cpu_us']:>12}{row['rps']:>9}{row.get('p50_ms', ''):>9}{row.get('p99_ms', ''):>9}"
        for name, row in each
    ]
    overload = (
        f"\n{'load':>5}{'rate':>8}{'in budget/s':>13}{'late':>6}{'p50 ms':>8}{'p99 ms':>8}{'lag p99':>9}  refused"
    )
    loads = [
        f"{row['load']:>5}{row['rate']:>8}{row['goodput_rps']:>13}{row['late']:>6}{row['p50_ms']:>8}{row['p99_ms']:>8}"
        f"{row['send_lag_p99_ms']:>9}  " + ", ".join(f"{count} {kind}" for kind, count in row["refused"].items())
        for row in result["overload"]
    ]
    return "\n".join([head, *rows, overload, *loads])


def _say(what: str) -> None:
    print(f"Measuring {what}.", file=sys.stderr)


if __name__ == "__main__":
    main()
