from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.demo.home import MARKER, fresh_home, only_run
from plumbline.errors import UserError


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
