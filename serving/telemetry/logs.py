"""The endpoint's own log: a line of JSON each on standard error, with the request's id where there is one.

The endpoint runs in a process that Ray starts, whose output Ray keeps to itself. So its lines go to the command's
process over a datagram socket of the machine, which prints them: what a container's log is made of. Lines that cannot
be sent are counted and said later; a request never waits for its line.
"""

from __future__ import annotations

import logging
import queue
import re
import socket
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from plumbline.settings.serving_telemetry import TelemetrySettings

_LONGEST = 60_000
_LONGEST_DATAGRAM = 65_536
_WAITING = 1000
_SEND_SECONDS = 1.0
_FIELDS = ("request_id", "trace_id", "status", "reason", "model", "version", "client", "suppressed")
"""What `logging`'s `extra` may bring."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: `time`, `level`, `logger`, `message`, `exception`, and the request's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: record.__dict__[name] for name in _FIELDS if record.__dict__.get(name) is not None}
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """A record as one line of text, and its exception below it. What a client sent makes no line of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, with control characters escaped."""
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], super().formatMessage(record))


def formatter(settings: TelemetrySettings) -> logging.Formatter:
    """The form that is set."""
    if settings.logs == "json":
        return JsonFormatter()
    return TextFormatter()


class SocketHandler(logging.Handler):
    """Sends each line to the command's process, from a thread: the socket of the machine holds a dozen lines at most.

    Args:
        path: Of its socket.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._lines: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._send, name="log-sender", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hands a line to the thread, or counts it as lost."""
        try:
            self._lines.put_nowait(self.format(record).encode()[:_LONGEST])
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Sends what waits."""
        self._lines.put(None)
        self._thread.join()
        super().close()

    def _send(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(_SEND_SECONDS)
            _make_room(out, socket.SO_SNDBUF)
            while (line := self._lines.get()) is not None:
                if self._lost:
                    line = b"(%d lines were lost before this one)\n" % self._lost + line
                try:
                    out.sendto(line, self._path)
                    self._lost = 0
                except OSError:
                    self._lost += 1


class LogRelay:
    """Prints what `SocketHandler`s send.

    Args:
        path: Where to listen; at most 103 characters, which is what macOS takes (Linux: 107).
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        _make_room(self._socket, socket.SO_RCVBUF)
        self._thread = threading.Thread(target=self._print, name="log-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening once what was sent before is printed."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _print(self) -> None:
        while line := self._socket.recv(_LONGEST_DATAGRAM):
            sys.stderr.write(line.decode("utf-8", "replace") + "\n")
            sys.stderr.flush()


def _make_room(end: socket.socket, buffer: int) -> None:
    """macOS takes datagrams of 2 KB unless told otherwise; Linux's own buffers are larger and stay."""
    if end.getsockopt(socket.SOL_SOCKET, buffer) < _LONGEST_DATAGRAM:
        end.setsockopt(socket.SOL_SOCKET, buffer, _LONGEST_DATAGRAM)


def configure(settings: TelemetrySettings, relay: Path | None) -> None:
    """Sets up the log of this process.

    Args:
        settings: Form and level.
        relay: Socket of the command's process; None prints here.
    """
    handler: logging.Handler = logging.StreamHandler() if relay is None else SocketHandler(relay)
    handler.setFormatter(formatter(settings))
    for name in ("serving", "plumbline"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(settings.log_level)
        logger.propagate = False
