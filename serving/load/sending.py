"""Sends traffic, from this process or from several, and puts together what came of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from plumbline.errors import PlumblineError
from serving.load.answers import AnswerReader
from serving.load.client import send_all
from serving.load.exchanges import Exchanges, Recorder, merge
from serving.load.progress import ProgressLine, Sample, Sampler
from serving.load.traffic import Traffic

_HEAD_START_SECONDS = 0.3
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Sending:
    """How traffic is sent.

    Attributes:
        url: Address of the endpoint, without a route.
        timeout: Seconds after which a request is given up.
        headers: Of each request. May hold a key: not shown.
        processes: Each sends its share of the requests, with a core of its own if there is one.
        progress: Whether standard error tells how it goes.
    """

    url: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    processes: int = 1
    progress: bool = False


@dataclass(frozen=True)
class Sent:
    """What came of the traffic.

    Attributes:
        exchanges: All requests.
        answers: What the measured ones' answers said.
        started_at: Seconds since 1970 of the instant from which due times count.
    """

    exchanges: Exchanges
    answers: AnswerReader
    started_at: float


def send_traffic(traffic: Traffic, sending: Sending, *, warm_up: int) -> Sent:
    """Sends all of it and waits for the last answer.

    Args:
        traffic: What to send.
        sending: How.
        warm_up: The first so many requests' answers are not counted.

    Raises:
        UserError: The address or a header cannot be used.
        DependencyError: The host has no address, or what answers is not the endpoint.
        PlumblineError: One of the processes died.
    """
    line = ProgressLine(len(traffic), sending.processes) if sending.progress else None
    start = time.monotonic() + _HEAD_START_SECONDS
    try:
        if sending.processes == 1:
            exchanges, answers = _send(traffic, sending, warm_up, None if line is None else line.tell, start)
        else:
            exchanges, answers, start = _send_from_several(traffic, sending, warm_up, line)
    finally:
        if line is not None:
            line.close()
    return Sent(exchanges, answers, time.time() - (time.monotonic() - start))


def _send(traffic: Traffic, sending: Sending, warm_up: int, tell: Any, start: float) -> tuple[Exchanges, AnswerReader]:
    # Numbers ascend, so the warm-up is the first part of every process's share, too.
    answers = AnswerReader(int((traffic.numbers < warm_up).sum()))
    with ExitStack() as stack:

        def on_begin(recorder: Recorder) -> None:
            if tell is not None:
                stack.enter_context(Sampler(recorder, tell))

        exchanges = send_all(
            sending.url,
            [traffic.bodies[place] for place in traffic.places],
            traffic.due,
            request_ids=traffic.request_ids(),
            paths=[traffic.paths[place] for place in traffic.places],
            timeout=sending.timeout,
            headers=sending.headers,
            on_answer=answers.take,
            on_begin=on_begin,
            start=start,
        )
    return exchanges, answers


def _send_from_several(
    traffic: Traffic, sending: Sending, warm_up: int, line: ProgressLine | None
) -> tuple[Exchanges, AnswerReader, float]:
    # Started afresh, not forked: this process may have threads of Arrow's and others.
    context = multiprocessing.get_context("spawn")
    shares = [traffic.share(part, sending.processes) for part in range(sending.processes)]
    ends, workers = [], []
    try:
        for share in shares:
            ours, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(theirs, share, sending, warm_up), daemon=True)
            worker.start()
            theirs.close()
            ends.append(ours)
            workers.append(worker)
        for end in ends:
            if not end.poll(_START_SECONDS) or _receive(end) != "ready":
                raise PlumblineError(f"A load process did not start within {_START_SECONDS:.0f} s.")
        start = time.monotonic() + _HEAD_START_SECONDS
        for end in ends:
            end.send(start)
        results = _collect(ends, line)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    answers = AnswerReader(0)
    for (_, counted), share in zip(results, shares, strict=True):
        answers.add(counted, share.numbers)
    return merge([one for one, _ in results], [share.numbers for share in shares]), answers, start


def _collect(ends: list[Connection], line: ProgressLine | None) -> list[tuple[Exchanges, AnswerReader]]:
    results: dict[Connection, tuple[Exchanges, AnswerReader]] = {}
    while len(results) < len(ends):
        for end in wait([end for end in ends if end not in results]):
            assert isinstance(end, Connection)
            message = _receive(end)
            if not isinstance(message, Sample):
                results[end] = message
            elif line is not None:
                line.tell(message)
    return [results[end] for end in ends]


def _receive(end: Connection) -> Any:
    try:
        message = end.recv()
    except EOFError as error:
        raise PlumblineError("A load process died. Is there memory for so many --processes?") from error
    if isinstance(message, Exception):
        raise message
    return message


def _work(end: Connection, share: Traffic, sending: Sending, warm_up: int) -> None:
    """The body of a process: says that it is ready, gets the common start, sends, hands over what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command, which ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()
    end.send("ready")
    start = end.recv()
    try:
        end.send(_send(share, sending, warm_up, end.send if sending.progress else None, start))
    except PlumblineError as error:
        end.send(error)


def _end_with_parent() -> None:
    """Load must not go on for nobody when the command was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
