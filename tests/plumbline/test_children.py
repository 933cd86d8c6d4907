"""What children import does not depend on the working folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_folder import own_folder

from plumbline.process.children import module_line, plumbline_line
from plumbline.process.watchdog import Watchdog

ROOT = Path(__file__).parents[2]
PLUMBLINE = Path(sys.executable).with_name("plumbline")


def test_the_command_works_in_a_folder_with_modules_of_our_names(tmp_path: Path) -> None:
    done = subprocess.run(
        [PLUMBLINE, "data", "ingest", "--generate", "--rows", "1000", "--weeks", "8", "--json"],
        cwd=own_folder(tmp_path),
        env={**os.environ, "PLUMBLINE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["read"] == 1000


def test_a_child_and_what_it_starts_take_nothing_from_there(tmp_path: Path) -> None:
    """The grandchild is started as KFP's and Ray's are: by a name of a module, without a word on paths."""
    code = (
        "import os, subprocess, sys; from plumbline.cli.main import _prepare_children; _prepare_children(); "
        "line = [sys.executable, '-m', 'plumbline', 'version']; sys.exit(subprocess.run(line).returncode)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    folder = own_folder(tmp_path)
    for line in (plumbline_line("version"), [sys.executable, "-P", "-c", code]):
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_the_watchdog_starts_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own_folder(tmp_path))
    with Watchdog("no-such-run") as watchdog:
        assert watchdog._process is not None
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for the end of this block
            watchdog._process.wait(1.0)
    assert watchdog._process.returncode == 0


def test_a_users_package_is_found_by_pythonpath(tmp_path: Path) -> None:
    """As docs/model.md says: the folder is named, it is not the one that we happen to be in."""
    (tmp_path / "my_models.py").write_text("def train(): ...\n", encoding="utf-8")
    code = (
        "import sys; from plumbline.model.protocol import import_trainer; import_trainer('my_models:train'); "
        "sys.exit(0)"
    )
    line = [*module_line("plumbline")[:2], "-c", code]
    found = subprocess.run(line, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False)
    lost = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0
    assert "PYTHONPATH" in lost.stderr


def test_every_child_is_started_by_the_helper() -> None:
    """`python -m` of our own appears in one place."""
    written = re.compile(r"sys\.executable")
    found = {
        str(path.relative_to(ROOT))
        for folder in ("platform/plumbline", "feature_repo", "pipelines", "serving", "monitoring")
        for path in (ROOT / folder).rglob("*.py")
        if written.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"platform/plumbline/process/children.py"}
