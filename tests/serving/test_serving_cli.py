"""Commands of `serve`: results as JSON, faults as one sentence and an exit code."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plumbline.errors import DependencyError, UserError
from serving.cli import serve_app

runner = CliRunner()


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))


def _unused_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_models_of_an_endpoint_that_is_not_there() -> None:
    result = runner.invoke(serve_app, ["models", "--url", _unused_address()])
    assert isinstance(result.exception, DependencyError)


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    result = runner.invoke(serve_app, ["run", "--port", port])
    assert isinstance(result.exception, UserError)
