"""CPU that a load generator takes per request: ours, and aiohttp under a loop of one's own.

    python -m benchmarks.generator [--rates 100,463,1500,5000] [--seconds 5] [--json]

Open loop, Poisson arrivals, bodies of 770 bytes, against a process that answers a constant. CPU is that of the
generator's thread: what it takes from the machine that it shares with what it measures. Lateness is the 99th
percentile of what the generator itself adds to each request's time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import numpy as np
import uvloop

from benchmarks.serving.machine import machine
from plumbline.process.ports import require_free_port
from serving.load.arrivals import Segment, due_times
from serving.load.client import send_all, send_closed

_BODY = json.dumps({"text": "x" * 757}).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 230\r\n\r\n" + b"x" * 230
_AIOHTTP_UP_TO = 1500
"""Beyond this it is late with everything on one core."""

_CLIENTS = 16


def main() -> None:
    """Measures, prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rates", default="100,463,1500,5000", help="requests per second, with commas between")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--port", type=int, default=22_100)
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    chosen = options.parse_args()
    found = measure([float(rate) for rate in chosen.rates.split(",")], chosen.seconds, chosen.port)
    print(json.dumps({"machine": machine(), "rows": found}, indent=2) if chosen.json else _table(found))


def measure(rates: Sequence[float], seconds: float, port: int) -> list[dict[str, Any]]:
    """A row per generator and load: `generator`, `load`, `cpu_us` per request, `late_p99_ms` (None in closed loops).

    Args:
        rates: Requests per second.
        seconds: Of each.
        port: Where the constant is answered.
    """
    require_free_port("127.0.0.1", port, "--port")
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(port,), daemon=True)
    server.start()
    try:
        _wait_for(port)
        rows = []
        for rate in rates:
            due = due_times([Segment(seconds, rate, rate)], "poisson", 0)
            sys.stderr.write(f"{rate:g}/s ...\n")
            rows.append(_ours(port, due, rate))
            if rate <= _AIOHTTP_UP_TO:
                rows.append(_aiohttp(port, due, rate))
        sys.stderr.write(f"{_CLIENTS} clients ...\n")
        closed = send_closed(_url(port), [_BODY], clients=_CLIENTS, seconds=seconds, timeout=10.0)
        per_request = round(closed.cpu_seconds / len(closed) * 1e6, 1)
        rps = len(closed) / seconds
        load = f"{_CLIENTS} clients ({rps:,.0f}/s)"
        return [*rows, {"generator": "ours", "load": load, "cpu_us": per_request, "late_p99_ms": None}]
    finally:
        server.kill()
        server.join()


def _ours(port: int, due: np.ndarray, rate: float) -> dict[str, Any]:
    ids = [f"generator-{number}" for number in range(len(due))]
    exchanges = send_all(_url(port), [_BODY] * len(due), due, request_ids=ids, timeout=10.0)
    if not exchanges.answered.all():
        raise SystemExit(f"Some requests failed: {exchanges.errors_by_kind()}.")
    return _row("ours", rate, exchanges.cpu_seconds / len(due), exchanges.lag)


def _aiohttp(port: int, due: np.ndarray, rate: float) -> dict[str, Any]:
    async def run() -> tuple[float, np.ndarray]:
        lag = np.zeros(len(due))

        async def send(number: int) -> None:
            lag[number] = time.monotonic() - start - due[number]
            headers = {"Content-Type": "application/json", "X-Request-ID": f"generator-{number}"}
            async with session.post(_url(port), data=_BODY, headers=headers) as answer:
                await answer.read()
                answer.raise_for_status()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            start, cpu = time.monotonic() + 0.1, time.thread_time()
            async with asyncio.TaskGroup() as tasks:
                for number, at in enumerate(due.tolist()):
                    await asyncio.sleep(max(0.0, start + at - time.monotonic()))
                    tasks.create_task(send(number))
            return time.thread_time() - cpu, lag

    cpu, lag = uvloop.run(run())
    return _row("aiohttp on uvloop", rate, cpu / len(due), lag)


def _row(generator: str, rate: float, cpu: float, lag: np.ndarray) -> dict[str, Any]:
    late = round(1000 * float(np.percentile(lag, 99)), 2)
    return {"generator": generator, "load": f"{rate:g}/s", "cpu_us": round(cpu * 1e6, 1), "late_p99_ms": late}


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


class _Constant(asyncio.Protocol):
    """Answers each whole request with the same bytes."""

    def __init__(self) -> None:
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Every body has the same length; requests come one at a time, in one piece or two."""
        if not self._left:
            self._left = data.index(b"\r\n\r\n") + 4 + len(_BODY)
        self._left -= len(data)
        if not self._left:
            self._transport.write(_ANSWER)


def _serve(port: int) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Constant, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(run())


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| generator | load | CPU per request, µs | late by, p99 ms |", "|---|---|---|---|"]
    for row in rows:
        late = "–" if row["late_p99_ms"] is None else row["late_p99_ms"]
        lines.append(f"| {row['generator']} | {row['load']} | {row['cpu_us']} | {late} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
