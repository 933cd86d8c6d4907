"""What the demo refuses, it refuses at once: one sentence, exit code 2, nothing left running."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.demo.home import fresh_home

RunPlumbline = Callable[..., subprocess.CompletedProcess[str]]


def _one_sentence(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.startswith("plumbline: ")]
    assert len(lines) == 1, stderr
    assert "Traceback" not in stderr
    return lines[0]


@pytest.mark.parametrize("part", ["SERVING", "CONTROLLER"])
def test_a_busy_port(run_plumbline: RunPlumbline, part: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        done = run_plumbline("demo", env={f"PLUMBLINE_{part}__PORT": port})
    assert done.returncode == 2
    assert f"Port {port}" in _one_sentence(done.stderr)
    assert f"PLUMBLINE_{part}__PORT" in done.stderr


def test_a_missing_file(run_plumbline: RunPlumbline, tmp_path: Path) -> None:
    done = run_plumbline("demo", "--data", str(tmp_path / "none.csv"), "--mapping", str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "none.csv is not a file" in _one_sentence(done.stderr)


def test_data_without_mapping(run_plumbline: RunPlumbline, tmp_path: Path) -> None:
    data = tmp_path / "postings.csv"
    data.write_text("id\n1\n")
    done = run_plumbline("demo", "--data", str(data))
    assert done.returncode == 2
    assert "DATA and MAPPING together" in _one_sentence(done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scenario", "new_bord"), "Did you mean new_board?"),
        (("--data", "postings.csv", "--mapping", "mapping.yaml"), "mapping.yaml"),
    ],
)
def test_what_an_earlier_demo_made_outlives_a_typo(
    run_plumbline: RunPlumbline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    fresh_home(tmp_path / "home")
    (tmp_path / "home" / "model").write_text("made by an earlier demo")
    Path("postings.csv").write_text("id\n1\n")
    Path("mapping.yaml").write_text("fields: {titel: {column: id}}\n")
    done = run_plumbline("demo", "--out", str(tmp_path / "out"), *arguments)
    assert done.returncode == 2
    assert said in _one_sentence(done.stderr)
    assert (tmp_path / "home" / "model").exists()


def test_state_of_another_making(run_plumbline: RunPlumbline, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious").write_text("mine")
    done = run_plumbline("demo", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "PLUMBLINE_HOME" in _one_sentence(done.stderr)
    assert (tmp_path / "home" / "precious").exists()


def test_an_unknown_setting(run_plumbline: RunPlumbline) -> None:
    done = run_plumbline("demo", env={"PLUMBLINE_SERVIGN__PORT": "8000"})
    assert done.returncode == 2
    assert "Did you mean PLUMBLINE_SERVING__PORT?" in _one_sentence(done.stderr)
