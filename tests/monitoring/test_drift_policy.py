"""Policies are strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring.policy import DriftPolicy, load_policy, policy_names
from monitoring.window import Window
from plumbline.errors import MissingInputError, UserError


def test_every_policy_that_comes_along_is_valid() -> None:
    assert "default" in policy_names()
    for name in policy_names():
        assert load_policy(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\ncolumns: {}\nfalse_alarm_rte: 0.1\n", "Did you mean false_alarm_rate"),
        ("name: x\ncolumns: {categorial: [board]}\n", "Did you mean categorical"),
        ("name: x\ncolumns: {}\nfloors: {distributon: 0.1}\n", "Did you mean distribution"),
        ("name: x\ncolumns: {}\nfalse_alarm_rate: 2\n", "false_alarm_rate has a wrong value"),
        ("columns: {}\n", "the key name is missing"),
        ("- a\n- b\n", "not a mapping"),
        ("name: [x\n", "not YAML"),
        ("name: 2026-02-31\n", "not YAML"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_nearest_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_policy(str(path))


def test_a_missing_policy_is_said() -> None:
    with pytest.raises(MissingInputError, match="one of default"):
        load_policy("no-such-policy")


def test_the_schema_refuses_unknown_keys() -> None:
    assert DriftPolicy.model_json_schema()["additionalProperties"] is False


def test_windows_are_read_as_intervals() -> None:
    window = Window.parse("2026-01-05/2026-01-19T00:00:00+02:00")
    assert str(window) == "2026-01-05T00:00:00+00:00/2026-01-18T22:00:00+00:00"
    for text in ("2026-01-05", "2026-01-05/then", "2026-01-19/2026-01-05"):
        with pytest.raises(UserError):
            Window.parse(text)
