"""The endpoint's own log: its form, its way to the command's process, and that overload does not drown it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline.settings.serving_telemetry import TelemetrySettings
from serving.errors import RequestRefusedError
from serving.telemetry.logs import LogRelay, SocketHandler, configure
from serving.telemetry.refusals import RefusalLog


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """What `configure` changes is put back: other tests read their log by pytest's handler."""
    loggers = [logging.getLogger(name) for name in ("serving", "plumbline")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in before:
        for handler in logger.handlers:
            handler.close()
        logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


def test_a_line_is_one_json_object_with_the_requests_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(TelemetrySettings(), None)
    try:
        int("no\nnumber")
    except ValueError:
        logging.getLogger("serving.engine").exception("Broken: %s", 1, extra={"request_id": "r-1", "status": 500})
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"]) == ("ERROR", "Broken: 1")
    assert (entry["request_id"], entry["status"]) == ("r-1", 500)
    assert "ValueError: invalid literal" in entry["exception"]
    assert entry["time"].endswith("+00:00")


def hang_up() -> None:
    """Sends what waits."""
    for name in ("serving", "plumbline"):
        logger = logging.getLogger(name)
        for handler in logger.handlers:
            handler.close()
        logger.handlers.clear()


def test_text_and_levels(capsys: pytest.CaptureFixture[str]) -> None:
    configure(TelemetrySettings(logs="text", log_level="WARNING"), None)
    logging.getLogger("serving.x").info("quiet")
    logging.getLogger("plumbline.x").warning("loud")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING plumbline.x: loud")


def test_what_a_client_sent_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    configure(TelemetrySettings(logs="text"), None)
    sent = "a\n2026-01-01 00:00:00 ERROR serving: forged \x1b[31m \u2028 ü"
    try:
        int(sent)
    except ValueError:
        logging.getLogger("serving.requests").exception("refused: %s", sent)
    first, *trace = capsys.readouterr().err.splitlines()
    assert first.endswith(r"refused: a\n2026-01-01 00:00:00 ERROR serving: forged \x1b[31m \u2028 ü")
    assert trace[0].startswith("Traceback")


def test_lines_come_out_of_the_commands_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    relay = LogRelay(tmp_path / "log.sock")
    configure(TelemetrySettings(), tmp_path / "log.sock")
    for number in range(200):
        logging.getLogger("serving.x").warning("line %d", number)
    hang_up()
    relay.close()
    messages = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert messages == [f"line {number}" for number in range(200)]


def test_a_relay_that_is_gone_costs_lines_not_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(TelemetrySettings(), tmp_path / "log.sock")
    logging.getLogger("serving.x").warning("nobody hears this")
    handler = logging.getLogger("serving").handlers[0]
    assert isinstance(handler, SocketHandler)
    while not handler._lost:
        time.sleep(0.005)
    relay = LogRelay(tmp_path / "log.sock")
    logging.getLogger("serving.x").warning("back")
    hang_up()
    relay.close()
    lost, line = capsys.readouterr().err.splitlines()
    assert lost == "(1 lines were lost before this one)"
    assert json.loads(line)["message"] == "back"


def test_a_thousand_refusals_are_one_line_per_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(TelemetrySettings(), None)
    clock = [0.0]
    monkeypatch.setattr("serving.telemetry.refusals.time.monotonic", lambda: clock[0])
    log, error = RefusalLog(), RequestRefusedError(503, "overloaded", "Too many.", retry_after=1)
    for number in range(0, 1000, 10):
        log.refused(error, model="m", request_id=f"r-{number}", count=10)
    log.refused(RequestRefusedError(500, "prediction-failed", "Broken."), model="m", request_id="bad")
    clock[0] = 1.5
    log.refused(error, model="m", request_id="later")
    first, other, later = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["request_id"], first["status"], first["reason"]) == ("r-0", 503, "overloaded")
    assert (other["level"], other["request_id"]) == ("ERROR", "bad")
    assert (later["request_id"], later["suppressed"]) == ("later", 999)
