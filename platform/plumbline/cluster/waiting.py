"""Waits until something answers, and says what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

from plumbline.errors import DependencyError, UserError

POLL_SECONDS = 1.0

Check = Callable[[], str | None]
"""None once it is there; else why not, as one sentence."""
Tell = Callable[[str], None]


def wait_until(what: str, check: Check, *, timeout_seconds: float, tell: Tell) -> float:
    """Repeats the check until it finds nothing to complain of.

    Args:
        what: What is waited for, for messages.
        check: Looks once; must not take long.
        timeout_seconds: How long to go on.
        tell: Takes progress: each reason once.

    Returns:
        Seconds that it took.

    Raises:
        DependencyError: It did not come within the time.
        UserError: The check cannot succeed, such as where no address is set; raised by the check, passed on.
    """
    start = time.monotonic()
    told = ""
    while True:
        reason = _look(check)
        waited = time.monotonic() - start
        if reason is None:
            tell(f"{what}: ready after {waited:.1f} s")
            return waited
        if reason != told:
            tell(f"waiting for {what}: {reason}")
            told = reason
        if waited > timeout_seconds:
            raise DependencyError(
                f"Waited {waited:.0f} s for {what} in vain: {reason} Start it, or correct its address."
            )
        time.sleep(POLL_SECONDS)


def _look(check: Check) -> str | None:
    try:
        return check()
    except UserError:
        raise
    except DependencyError as error:
        return str(error)


def sentence(error: BaseException) -> str:
    """The first line of what a library says, as a sentence."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."
