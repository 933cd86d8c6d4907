from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plumbline.demo.home import MARKER, fresh_home, only_run, require_unused
from plumbline.errors import UserError
from plumbline.process.children import plumbline_line


def test_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fresh_home(home)
    (home / "mlflow").mkdir()
    (home / "mlflow" / "mlflow.db").write_text("old")
    fresh_home(home)
    assert [entry.name for entry in home.iterdir()] == [MARKER]


def test_state_of_another_making_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("mine")
    with pytest.raises(UserError, match="PLUMBLINE_HOME"):
        fresh_home(home)
    assert (home / "precious").read_text() == "mine"


def test_two_runs_on_one_home_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with only_run(home), pytest.raises(UserError, match="Another demo"), only_run(home):
        pass
    with only_run(home):
        pass


def test_a_home_that_a_command_works_on_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    require_unused(home)
    line = plumbline_line("serve", "ask", "--url", "http://127.0.0.1:9", "--timeout", "60")
    with subprocess.Popen(line, env={**os.environ, "PLUMBLINE_HOME": str(home)}, stderr=subprocess.DEVNULL) as other:
        try:
            with pytest.raises(UserError, match=rf"`plumbline serve ask .*` \(process {other.pid}\).*PLUMBLINE_HOME"):
                require_unused(home)
            require_unused(tmp_path / "another")
        finally:
            other.kill()
    require_unused(home)
