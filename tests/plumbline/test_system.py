"""Substitutes for what other operating systems lack, and that nothing of Linux alone is used without one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from plumbline import system
from plumbline.cli import doctor_system
from plumbline.errors import UserError
from plumbline.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / name for name in ("platform/plumbline", "feature_repo", "pipelines", "serving", "monitoring")]
OF_UNIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "curses", "readline"}


def test_a_system_without_the_names_of_linux_runs_everything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("without_linux.py")), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["postings"] > 900
    assert (result["answered"], result["early"]) == (50, 0)
    assert result["timer"] == "event loop, about 1 ms late"
    assert (result["segment_full"], result["locked_twice"]) == (True, False)
    assert result["connections"] > 0
    assert result["machine"]["cores"] == os.cpu_count()
    assert result["machine"]["processor"]


def imported(node: ast.stmt) -> set[str | None]:
    if isinstance(node, ast.Import):
        return {name.name for name in node.names}
    return {node.module} if isinstance(node, ast.ImportFrom) else set()


def test_modules_of_unix_are_imported_where_they_are_used() -> None:
    """So that Windows is told in a sentence, and not by the first such import."""
    found = [
        f"{path}:{node.lineno}"
        for folder in SOURCES
        for path in folder.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if OF_UNIX & imported(node)
    ]
    assert found == []


def test_windows_is_told_to_use_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.sys, "platform", "win32")
    with pytest.raises(UserError, match="WSL2"):
        system.require_supported()


def test_the_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    infinite = resource.RLIM_INFINITY
    for platform, before, wanted in (
        ("linux", (1024, 4096), 4096),
        ("linux", (1024, infinite), 65_536),
        ("linux", (infinite, infinite), 65_536),
        ("linux", (4096, 4096), 4096),
        ("darwin", (256, infinite), 10_240),
        ("darwin", (20_000, infinite), 20_000),
    ):
        now = list(before)
        monkeypatch.setattr(system.sys, "platform", platform)
        monkeypatch.setattr(resource, "getrlimit", lambda _, now=now: tuple(now))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits, now=now: now.__setitem__(slice(None), limits))
        assert system.raise_open_files() == wanted
        assert now[1] == before[1]


@pytest.mark.parametrize(
    ("platform", "machine", "libc", "release", "verdict", "said"),
    [
        ("linux", "x86_64", "glibc", "6.1.0", "ok", "Linux on x86_64"),
        ("linux", "aarch64", "glibc", "6.1.0", "warning", "not tried"),
        ("linux", "x86_64", "", "6.1.0", "problem", "without glibc"),
        ("linux", "x86_64", "glibc", "5.15.0-microsoft-standard-WSL2", "warning", "WSL2"),
        ("darwin", "arm64", "", "23.0.0", "warning", "macOS"),
        ("darwin", "x86_64", "", "23.0.0", "problem", "macOS"),
    ],
)
def test_the_doctor_says_which_system_this_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, platform: str, machine: str, libc: str, release: str,
    verdict: str, said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(doctor_system.sys, "platform", platform)
    monkeypatch.setattr(doctor_system.platform, "machine", lambda: machine)
    monkeypatch.setattr(doctor_system.platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(doctor_system, "is_wsl", lambda: "microsoft" in release)
    found = doctor_system.system(settings)
    assert (found.verdict, bool(found.advice)) == (verdict, verdict != "ok")
    assert said in found.found


def test_a_home_on_a_windows_disk_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_system, "is_wsl", lambda: True)
    there = settings.model_copy(update={"home": Path("/mnt/c/Users/me/home")})
    found = doctor_system.system(there)
    assert found.verdict == "problem"
    assert "PLUMBLINE_HOME" in found.advice


def test_the_doctors_pythons_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (oldest, newest) = doctor_system.PYTHONS
    assert project["requires-python"] == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
    script = (ROOT / "requirements/venv.sh").read_text(encoding="utf-8")
    assert f"({oldest[0]}, {oldest[1]}) <= sys.version_info[:2] <= ({newest[0]}, {newest[1]})" in script
    assert f"range='{project['requires-python']}'" in script
