"""The scripts behind `make install`: which Python, and which build of PyTorch."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "requirements"
UV = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *--no-index*) [ "$HAS" = folder ] ;;
  *--torch-backend*) [ "$HAS" = index ] ;;
  *venv*) [ "$HAS" = python ] && mkdir -p "$FOLDER/bin" && ln -s "$PYTHON" "$FOLDER/bin/python" ;;
esac
"""


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    """A stand-in: what it has says the variable HAS."""
    path = tmp_path / "bin/uv"
    path.parent.mkdir()
    path.write_text(UV, encoding="utf-8")
    path.chmod(0o755)
    return path


def torch_options(uv: Path, has: str, **variables: str) -> tuple[str, str]:
    """What the script prints, and what it says."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PIP_FIND_LINKS", "TORCH")}
    done = subprocess.run(
        [SCRIPTS / "torch.sh", uv, sys.executable],
        env={**environment, "HAS": has, "CALLS": str(uv.with_name("calls")), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr


on_linux = pytest.mark.skipif(platform.system() != "Linux", reason="only Linux has two builds under one version")


@on_linux
def test_a_folder_with_the_build_for_cpus_is_enough(uv: Path) -> None:
    said = torch_options(uv, "folder", PIP_FIND_LINKS="/wheels /more")
    assert said == ("--find-links /wheels --find-links /more", "")
    assert "torch==" in uv.with_name("calls").read_text(encoding="utf-8")
    assert "+cpu" in uv.with_name("calls").read_text(encoding="utf-8")


@on_linux
def test_else_the_index_of_pytorch_has_it(uv: Path) -> None:
    assert torch_options(uv, "index") == ("--torch-backend cpu", "")
    assert torch_options(uv, "index", PIP_FIND_LINKS="/wheels")[0] == "--find-links /wheels --torch-backend cpu"


@on_linux
def test_a_build_for_gpus_is_asked_for_by_name(uv: Path) -> None:
    assert torch_options(uv, "index", TORCH="auto", PIP_FIND_LINKS="/wheels")[0].endswith("--torch-backend auto")


@on_linux
def test_where_neither_is_reached_it_says_what_is_taken(uv: Path) -> None:
    options, said = torch_options(uv, "nothing", PIP_FIND_LINKS="/wheels")
    assert options == "--find-links /wheels"
    assert "CUDA" in said
    assert "PIP_FIND_LINKS" in said


def venv(tmp_path: Path, *arguments: str, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "venv.sh", tmp_path / "venv", "0.0", *arguments],
        env={"PATH": path, "CALLS": str(tmp_path / "calls"), "FOLDER": str(tmp_path / "venv"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def no_python(tmp_path: Path) -> Path:
    """A folder of programs in which the only Python is too old."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "rm", "mktemp", "mkdir", "ln"):
        (folder / name).symlink_to(str(shutil.which(name)))
    (folder / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (folder / "python3").chmod(0o755)
    return folder


def test_a_python_that_does_not_fit_is_refused_by_name(tmp_path: Path, no_python: Path) -> None:
    done = venv(tmp_path, str(no_python / "python3"), path=os.environ["PATH"])
    assert done.returncode == 2
    assert "is not a Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_without_a_python_uv_is_asked_for_one(tmp_path: Path, no_python: Path, uv: Path) -> None:
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\necho "$*" >> "$CALLS"\n', encoding="utf-8")
    pip.chmod(0o755)
    done = venv(tmp_path, path=f"{no_python}:{uv.parent}", HAS="python", PYTHON=str(pip))
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[0].startswith("venv --quiet --seed --python >=3.11,<3.14")
    assert calls[1].startswith("-m pip install")


def test_where_uv_brings_none_it_says_what_to_install(tmp_path: Path, no_python: Path, uv: Path) -> None:
    done = venv(tmp_path, path=f"{no_python}:{uv.parent}", HAS="nothing")
    assert done.returncode == 2
    assert "Install Python 3.11, 3.12 or 3.13" in done.stderr


def progress(script: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell script under the display of progress, without a terminal."""
    line = [SCRIPTS / "progress.sh", "Install it", "sh", "-c", script]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_progress_of_what_goes_well_is_a_line() -> None:
    done = progress("echo Resolved 3 packages")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"  Install it: \d+ s\n", done.stderr)


def test_progress_of_what_fails_ends_with_all_that_was_said() -> None:
    done = progress("echo first; echo second >&2; exit 7")
    assert done.returncode == 7
    assert done.stderr == "first\nsecond\n"
