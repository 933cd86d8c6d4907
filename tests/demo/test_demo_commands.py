"""Commands of a demo, run side by side."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from plumbline.demo.commands import Commands
from plumbline.errors import UserError


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(logs=tmp_path, run_id="1", settings_variables={"PLUMBLINE_HOME": str(tmp_path / "home")})


def test_each_gives_its_own_result(commands: Commands, tmp_path: Path) -> None:
    schema, scenarios = commands.results(("data", "schema", "--of", "mapping"), ("data", "scenarios"))
    assert "properties" in schema
    assert json.dumps(scenarios).count("silent_null")
    assert sorted(log.name for log in tmp_path.glob("*.log")) == ["01-data-schema.log", "02-data-scenarios.log"]


def test_where_one_fails_the_others_are_ended(commands: Commands) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(UserError, match="snapshot"):
        commands.results(
            ("data", "show", "nothing"), ("serve", "ask", "--url", "http://127.0.0.1:9", "--timeout", "3600")
        )
    assert set(psutil.Process().children()) == before
