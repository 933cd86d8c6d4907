"""CPU that a request costs the server, by interface: classify, and the inference protocol over REST and gRPC.

Needs a home that holds a champion, applied features and a snapshot (after `plumbline demo`, for one):

    PLUMBLINE_HOME=build/home OMP_NUM_THREADS=1 python benchmarks/inference_protocol.py

The replica runs in a process of its own, without Ray; the same generated postings go to each interface in turns, one
request at a time. What is counted is the CPU time of that process, the model's included.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil
import tritonclient.grpc
import tritonclient.http
import uvloop

from plumbline.data.contract import PostingRequest
from plumbline.settings import Settings, load_settings
from serving.load.bodies import encode, postings_of

ROUNDS = 5


def serve(settings: Settings, said: Connection) -> None:
    """The replica, until the other end says something."""
    from serving.replica import build_replica

    async def run() -> None:
        replica = build_replica(settings)
        await replica.listen()
        said.send("listening")
        await asyncio.to_thread(said.recv)
        await replica.close()

    uvloop.run(run())


@contextmanager
def server(settings: Settings) -> Iterator[psutil.Process]:
    context = multiprocessing.get_context("spawn")
    said, heard = context.Pipe()
    process = context.Process(target=serve, args=(settings, heard))
    process.start()
    try:
        assert said.recv() == "listening"
        assert process.pid is not None
        yield psutil.Process(process.pid)
        said.send("stop")
        process.join(30)
    finally:
        process.kill()


def postings(settings: Settings, count: int) -> list[dict[str, Any]]:
    """Postings of the latest snapshot, the newest: their features are those that are served."""
    frame = postings_of(settings, "latest", since=None).sort_values("event_timestamp")
    return [json.loads(body) for body in encode(frame.tail(count))]


def columns(kind: Any, rows: list[dict[str, Any]]) -> list[Any]:
    """The rows as input tensors; fields that no row states are left out."""
    inputs = []
    for name in PostingRequest.model_fields:
        if not any(name in row for row in rows):
            continue
        number = name.startswith("salary_")
        values: list[Any] = [row.get(name, np.nan if number else "") for row in rows]
        cells = values if number else [str(value).encode() for value in values]
        array = np.array(cells, dtype=float if number else object)
        tensor = kind.InferInput(name, [len(rows)], "FP64" if number else "BYTES")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def interfaces(settings: Settings, rows: list[dict[str, Any]], size: int) -> dict[str, list[Callable[[], None]]]:
    """Requests of `size` postings, by interface."""
    serving, model = settings.serving, settings.tracking.model_name
    connection = http.client.HTTPConnection("127.0.0.1", serving.port)
    rest = tritonclient.http.InferenceServerClient(f"127.0.0.1:{serving.port}")
    rpc = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{serving.grpc_port}")
    budget = {"x-latency-budget-ms": "60000"}

    def classify(batch: list[dict[str, Any]]) -> Callable[[], None]:
        path = "/v1/classify" if size == 1 else "/v1/classify:batch"
        body = json.dumps(batch[0] if size == 1 else {"postings": batch})

        def ask() -> None:
            connection.request("POST", path, body, {**budget, "content-type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()

        return ask

    def infer(client: Any, kind: Any, batch: list[dict[str, Any]]) -> Callable[[], None]:
        inputs = columns(kind, batch)
        outputs = [kind.InferRequestedOutput(name) for name in ("label", "probability")]
        return lambda: client.infer(model, inputs, outputs=outputs, headers=dict(budget))

    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    return {
        "classify": [classify(batch) for batch in batches],
        "inference protocol, REST": [infer(rest, tritonclient.http, batch) for batch in batches],
        "inference protocol, gRPC": [infer(rpc, tritonclient.grpc, batch) for batch in batches],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="per interface and round")
    parser.add_argument("--port", type=int, default=8000, help="of HTTP; gRPC takes the next one")
    arguments = parser.parse_args()
    settings = load_settings()
    serving = settings.serving.model_copy(update={"port": arguments.port, "grpc_port": arguments.port + 1})
    settings = settings.model_copy(update={"serving": serving})
    with server(settings) as process:
        for size in (1, 16):
            count = arguments.requests // (1 if size == 1 else 8)
            asked = interfaces(settings, postings(settings, count * size), size)
            costs: dict[str, list[float]] = {name: [] for name in asked}
            for _ in range(ROUNDS):
                for name, requests in asked.items():
                    before = process.cpu_times()
                    for request in requests:
                        request()
                    time.sleep(0.2)  # the kernel counts in ticks of 10 ms
                    after = process.cpu_times()
                    spent = after.user + after.system - before.user - before.system
                    costs[name].append(1e6 * spent / (count * size))
            print(f"postings per request: {size}; CPU µs per posting, median (least, most) of {ROUNDS} rounds")
            for name, values in costs.items():
                print(f"  {name:28}{statistics.median(values):7.0f}  ({min(values):.0f}, {max(values):.0f})")


if __name__ == "__main__":
    main()
