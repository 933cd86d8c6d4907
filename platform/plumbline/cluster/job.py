"""A command as a Kubernetes Job: what it came to is written to the object store, where the controller reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plumbline.cluster.commands import run_command
from plumbline.errors import IntegrityError, MissingInputError
from plumbline.settings import Settings
from plumbline.storage import open_store


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


def run_job(settings: Settings, key: str, arguments: Sequence[str]) -> JobAnswer:
    """Runs a command to its end and writes the answer.

    Args:
        settings: Name the object store.
        key: Where the answer goes.
        arguments: What follows `plumbline`.
    """
    store = open_store(settings)
    started = datetime.now(UTC).isoformat()
    done = run_command(arguments)
    answer = JobAnswer(done.exit_code, done.answer, done.error, started, datetime.now(UTC).isoformat())
    store.put(key, json.dumps(vars(answer), ensure_ascii=False).encode())
    return answer


def read_answer(settings: Settings, key: str) -> JobAnswer | None:
    """The answer under a key; None while there is none.

    Raises:
        DependencyError: The object store does not answer.
        IntegrityError: What lies there is no answer.
    """
    try:
        content = open_store(settings).get(key)
    except MissingInputError:
        return None
    try:
        return JobAnswer(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"The object {key} is not a job's answer: {error}.") from error
