"""Sends requests when they are due, and notes what came of each."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import orjson

from serving.http.app import REQUEST_ID_HEADER

_START_DELAY_SECONDS = 0.2


@dataclass(slots=True)
class Outcome:
    """One request. Times are seconds from the start of the run."""

    request_id: str
    due: float
    sent: float = 0.0
    ended: float = 0.0
    error: str | None = None
    answer: dict[str, Any] | None = None


def send_all(
    url: str, bodies: Sequence[bytes], due: np.ndarray, *, request_ids: Sequence[str], timeout: float
) -> list[Outcome]:
    """Sends each body at its due time, over as many kept-alive connections as it takes.

    Args:
        url: Address of the classify route.
        bodies: One per due time.
        due: Seconds from the start, ascending.
        request_ids: One per due time.
        timeout: Seconds after which a request counts as an error.
    """
    import uvloop

    # Nothing that exists now is garbage: collections during the run stay short.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send_all(url, bodies, due, request_ids, timeout))


async def _send_all(
    url: str, bodies: Sequence[bytes], due: np.ndarray, request_ids: Sequence[str], timeout: float
) -> list[Outcome]:
    outcomes = [Outcome(request_id, float(instant)) for request_id, instant in zip(request_ids, due, strict=True)]
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        start = time.monotonic() + _START_DELAY_SECONDS
        tasks = []
        for outcome, body in zip(outcomes, bodies, strict=True):
            wait = start + outcome.due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(_send(session, url, body, outcome, start)))
        await asyncio.gather(*tasks)
    return outcomes


async def _send(session: aiohttp.ClientSession, url: str, body: bytes, outcome: Outcome, start: float) -> None:
    headers = {"content-type": "application/json", REQUEST_ID_HEADER: outcome.request_id}
    outcome.sent = time.monotonic() - start
    try:
        async with session.post(url, data=body, headers=headers) as response:
            content = await response.read()
            outcome.ended = time.monotonic() - start
            if response.status == 200:
                outcome.answer = orjson.loads(content)
            else:
                outcome.error = f"status {response.status}"
    except TimeoutError:
        outcome.error = "timeout"
    except aiohttp.ClientError as error:
        outcome.error = type(error).__name__
    if outcome.error is not None:
        outcome.ended = time.monotonic() - start
