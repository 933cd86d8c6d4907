"""The wheel alone in a clean environment: what is in it, what works, and what says which extra to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
Plumbline = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def plumbline(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Plumbline:
    """Runs the command of an environment that holds the wheel and what it asks for without extras."""
    folder = tmp_path_factory.mktemp("clean")
    python = folder / "venv/bin/python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    line = [UV, "pip", "install", "--quiet", "--python", python, "--constraint", ROOT / "requirements/demo.lock", wheel]
    subprocess.run(line, cwd=folder, check=True)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [folder / "venv/bin/plumbline", *arguments],
            cwd=folder,
            env={**os.environ, "PLUMBLINE_HOME": str(folder / "home")},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    return run


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    folders = ["platform/plumbline", "feature_repo", "pipelines", "serving", "monitoring"]
    ours = {
        path.relative_to(ROOT).as_posix().removeprefix("platform/")
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == ours
    assert {"monitoring/policies/default.yaml", "pipelines/compiled/training.yaml"} <= held
    assert {"serving/load/page.html.j2", "plumbline/data/generator/vocabulary.yaml"} <= held


def test_what_needs_no_extra_works(plumbline: Plumbline) -> None:
    done = plumbline("data", "ingest", "--generate", "--rows", "1000", "--weeks", "8", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["read"] == 1000


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("features apply", "features"),
        ("pipeline run training", "pipelines"),
        ("models list", "model"),
        ("serve run", "serving"),
        ("load run --rate 1 --duration 1", "serving"),
        ("release status", "serving"),
        ("monitor run --last 14d", "monitoring"),
        ("controller run", "controller"),
        ("demo", "demo"),
        ("doctor --cluster", "controller"),
    ],
)
def test_what_needs_an_extra_says_which(plumbline: Plumbline, words: str, extra: str) -> None:
    done = plumbline(*words.split())
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith(f"plumbline: `plumbline {words.split(maxsplit=1)[0]}` needs ")
    assert f"pip install 'plumbline[{extra}]'" in said


def test_the_doctor_advises_the_same(plumbline: Plumbline) -> None:
    rows = {row["check"]: row for row in json.loads(plumbline("doctor", "--json").stdout)["rows"]}
    for part in ("features", "model", "pipelines", "serving", "monitoring"):
        assert rows[part]["verdict"] == "warning"
        assert f"pip install 'plumbline[{part}]'" in rows[part]["advice"]
    assert rows["python"]["verdict"] == rows["system"]["verdict"] == "ok"


def test_the_advice_can_be_followed(plumbline: Plumbline, wheel: Path, tmp_path: Path) -> None:
    """Once the wheel is installed its name stands for it, also with an extra; nothing else of that name is fetched."""
    python = Path(str(plumbline("data").args[0])).with_name("python")
    line = [UV, "pip", "install", "--dry-run", "--python", python, "--constraint", ROOT / "requirements/demo.lock"]
    done = subprocess.run(
        [*line, "plumbline[features]"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "+ feast==" in done.stderr
    assert "plumbline==" not in done.stderr
