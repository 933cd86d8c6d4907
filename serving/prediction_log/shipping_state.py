"""How shipping goes, in a file: the process that ships is not always the one whose metrics are asked."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from plumbline.locks import lock_file

_BYTES = 1024
_MOST_CHARACTERS = 300
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShippingState:
    """Failures since the file was made, the last of them, and the last round that moved something."""

    failures: int = 0
    damaged: int = 0
    last_error: str | None = None
    last_failure: str | None = None
    last_success: str | None = None


def read_state(directory: Path) -> ShippingState:
    """The state; that of the beginning where there is none."""
    try:
        return _parse(_path(directory).read_bytes())
    except FileNotFoundError:
        return ShippingState()


def note_failure(directory: Path, error: str) -> None:
    """Counts a round that failed."""
    _change(directory, failures=1, last_error=error[:_MOST_CHARACTERS], last_failure=_now())


def note_success(directory: Path, *, damaged: int = 0) -> None:
    """Notes a round that moved something."""
    _change(directory, damaged=damaged, last_success=_now())


def _change(directory: Path, *, failures: int = 0, damaged: int = 0, **texts: str) -> None:
    try:
        handle = os.open(_path(directory), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            lock_file(handle)
            before = _parse(os.pread(handle, _BYTES, 0))
            after = replace(before, failures=before.failures + failures, damaged=before.damaged + damaged, **texts)
            # Always as long, so that a full disk, on which shipping may just have failed, takes it.
            os.pwrite(handle, orjson.dumps(asdict(after)).ljust(_BYTES - 1) + b"\n", 0)
        finally:
            os.close(handle)
    except OSError as error:
        _log.warning("The state of shipping could not be noted: %s", error)


def _parse(content: bytes) -> ShippingState:
    return ShippingState(**orjson.loads(content)) if content.strip() else ShippingState()


def _path(directory: Path) -> Path:
    return directory / "shipping.state"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
