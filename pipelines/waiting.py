"""Waits for the end of a run on a KFP API server, and reads what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import kfp_server_api
import urllib3

from pipelines.server import Server, quiet
from pipelines.submit import Submitted
from plumbline.errors import DependencyError, PlumblineError
from plumbline.process.patience import Patience
from plumbline.registry.submissions import find_submission
from plumbline.settings import Settings

_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
_LOOKS_WITHOUT_ANSWER = 12


def wait_for_end(
    submitted: Submitted, settings: Settings, server: Server, *, on_state: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Waits until a run has ended; its result, as `pipeline run` gives it.

    Args:
        submitted: The run.
        settings: How long and how often.
        server: Where it runs.
        on_state: Called with each new state.

    Raises:
        PlumblineError: A step failed (the error is of the step's own kind), or the run was cancelled.
        DependencyError: No step got on, or the server answers no more; the run itself goes on.
    """
    started = time.monotonic()
    run = _ended_run(submitted, settings, server, on_state)
    state = str(run.state)
    found = find_submission(settings, submitted.submission)
    if state == "SUCCEEDED" and found is not None:
        return {
            **found.result(),
            "seconds": found.seconds(),
            "folder": submitted.url,
            "kfp_run_id": submitted.run_id,
            "url": submitted.url,
            "wall_seconds": round(time.monotonic() - started, 1),
        }
    if state == "SUCCEEDED":
        raise DependencyError(
            f"The run {submitted.url} has succeeded, and MLflow at {settings.tracking.uri} knows nothing of it. "
            "Its steps and this command must use the same MLflow."
        )
    failure = found.failure() if found is not None else None
    if failure is not None:
        raise failure
    raise PlumblineError(
        f"The run has {state.lower()} before a step could tell why. KFP: {_told(run)} See {submitted.url}."
    )


def _ended_run(submitted: Submitted, settings: Settings, server: Server, on_state: Callable[[str], None]) -> Any:
    run: Any = None
    patience = Patience(settings.pipelines.run_patience_seconds, sign=lambda: _progress_of(run))
    seen: str | None = None
    unanswered = 0
    while True:
        try:
            with quiet():
                run = server.client.get_run(submitted.run_id)
            unanswered = 0
        except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            unanswered += 1
            if unanswered >= _LOOKS_WITHOUT_ANSWER:
                raise DependencyError(
                    f"The KFP API server at {server.host} answers no more ({error}). The run goes on: {submitted.url}."
                ) from error
        else:
            state = str(run.state or "PENDING")
            if state != seen:
                on_state(state)
                seen = state
            if state in _ENDED:
                return run
        if patience.lost():
            raise DependencyError(
                f"No step of the run has begun or ended for {patience.silent_seconds:.0f} s; it goes on: "
                f"{submitted.url}. Raise pipelines.run_patience_seconds where steps take longer, or give them more "
                "resources."
            )
        time.sleep(settings.pipelines.poll_seconds)


def _progress_of(run: Any) -> list[tuple[str, str]]:
    """What changes when a step begins or ends."""
    details = getattr(run, "run_details", None)
    tasks = (getattr(details, "task_details", None) or []) if details is not None else []
    return sorted((str(task.task_id), str(task.state)) for task in tasks)


def _told(run: Any) -> str:
    """What KFP itself says about the tasks that failed: an image that cannot be had, a pod that was evicted."""
    details = getattr(run, "run_details", None)
    tasks = (getattr(details, "task_details", None) or []) if details is not None else []
    said = [
        f"{task.display_name}: {task.error.message}" for task in tasks if task.error is not None and task.error.message
    ]
    if run.error is not None and run.error.message:
        said.append(str(run.error.message))
    return "; ".join(dict.fromkeys(said)) + "." if said else "no reason given."
