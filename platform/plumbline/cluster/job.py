"""A command as a Kubernetes Job: what it comes to is written to the object store, where the controller reads it.

Until then a small sign of life lies beside the answer, since the controller does not see the Job's processes.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from plumbline.cluster.commands import run_command
from plumbline.errors import IntegrityError, MissingInputError, PlumblineError
from plumbline.process.lines import Lines
from plumbline.process.patience import processor_seconds
from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store

SIGN_SECONDS = 30.0
"""Between two signs of life."""

_LONGEST_WORDS = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobAnswer:
    """What a Job's command came to.

    Attributes:
        exit_code: Of the command.
        answer: What it printed with `--json`.
        error: The sentence that it ended with.
        started: When it began, UTC.
        ended: When it was over, UTC.
    """

    exit_code: int
    answer: dict[str, Any] | None
    error: str | None
    started: str
    ended: str


@dataclass(frozen=True)
class SignOfLife:
    """What a Job's command has done so far.

    Attributes:
        processor_seconds: Processor time of its processes that run.
        lines: Lines that told something new.
        said: The last of them.
    """

    processor_seconds: float
    lines: int
    said: str


def run_job(settings: Settings, key: str, arguments: Sequence[str]) -> JobAnswer:
    """Runs a command to its end and writes the answer.

    Args:
        settings: Name the object store.
        key: Where the answer goes.
        arguments: What follows `plumbline`.
    """
    store = open_store(settings)
    started = datetime.now(UTC).isoformat()
    with _signs(store, _sign_key(key)) as lines:
        done = run_command(arguments, on_line=lines.add)
    answer = JobAnswer(done.exit_code, done.answer, done.error, started, datetime.now(UTC).isoformat())
    store.put(key, json.dumps(vars(answer), ensure_ascii=False).encode())
    try:
        store.delete(_sign_key(key))
    except PlumblineError as error:
        _log.warning("The sign of life beside %s stays: %s", key, error)
    return answer


def read_answer(settings: Settings, key: str) -> JobAnswer | None:
    """The answer under a key; None while there is none.

    Raises:
        DependencyError: The object store does not answer.
        IntegrityError: What lies there is no answer.
    """
    content = _get(settings, key)
    if content is None:
        return None
    try:
        return JobAnswer(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"The object {key} is not a job's answer: {error}.") from error


def read_sign(settings: Settings, key: str) -> SignOfLife | None:
    """The sign of life beside the answer's key; None while there is none.

    Raises:
        DependencyError: The object store does not answer.
    """
    content = _get(settings, _sign_key(key))
    try:
        return None if content is None else SignOfLife(**json.loads(content))
    except (ValueError, TypeError):
        return None  # of another version: as if the Job had not told


def _get(settings: Settings, key: str) -> bytes | None:
    try:
        return open_store(settings).get(key)
    except MissingInputError:
        return None


def _sign_key(key: str) -> str:
    return f"{key.removesuffix('.json')}.alive.json"


@contextmanager
def _signs(store: ObjectStore, key: str) -> Iterator[Lines]:
    """Writes signs of life as long as the context lasts; it takes the lines that the command says."""
    lines = Lines()
    over = threading.Event()

    def write() -> None:
        last: SignOfLife | None = None
        while True:
            used = processor_seconds(psutil.Process().children(recursive=True))
            sign = SignOfLife(round(used, 1), lines.told, lines.last[:_LONGEST_WORDS])
            if sign != last:
                try:
                    store.put(key, json.dumps(vars(sign), ensure_ascii=False).encode())
                    last = sign
                except PlumblineError as error:
                    # The command goes on; its controller cannot read the store now either.
                    _log.warning("No sign of life could be left: %s", error)
            if over.wait(SIGN_SECONDS):
                return

    thread = threading.Thread(target=write, name="signs-of-life", daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()
