"""What a message advises is taken from it word for word, and carried out: it must be accepted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command_lines import USAGE_ERROR

from plumbline.cli.main import build_app
from plumbline.errors import PlumblineError
from plumbline.settings import load_settings


@dataclass(frozen=True)
class Case:
    """A message that is provoked, and what it advises.

    Attributes:
        line: Command that provokes it.
        advice: Finds the advice in the message; its groups are what the message says to write.
        then: The command with the advice: `{0}`, `{1}` are the groups.
        env: Variables that provoke it; in names and values of `env_then` the groups are filled in, too.
        env_then: Those that the advice says.
        whole: Whether the command does its work then; else it may lack something else, such as a snapshot.
    """

    line: str
    advice: str
    then: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_then: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def setting(name: str, value: str, advice: str, then: Mapping[str, str]) -> Case:
    return Case("settings", advice, None, {name: value}, then, whole=True)


CASES = [
    setting("PLUMBLINE_SERVNG__PORT", "8123", r"Did you mean (\S+)\?", {"{0}": "8123"}),
    setting("PLUMBLINE_MODEL__RUNTIME__TREADS", "1", r"Did you mean (\S+)\?", {"{0}": "1"}),
    setting("PLUMBLINE_SERVING", '{"prt": 1}', r"Did you mean serving\.(\w+)\?", {"PLUMBLINE_SERVING": '{{"{0}": 1}}'}),
    setting("PLUMBLINE_MONITORING__RECEIVERS", "x", r"as \S+ or (\S+) is", {"PLUMBLINE_MONITORING__RECEIVERS": "{0}"}),
    setting("PLUMBLINE_CONFIG", "/none.yaml", r"Correct PLUMBLINE_CONFIG or (unset) it", {}),
    Case("pipeline run none --set model.epoch=3", r"Did you mean (\S+)\?", "pipeline run none --set {0}=3"),
    Case("pipeline run none --set epochs", r"as in (--set \S+)\.$", "pipeline run none {0}"),
    Case("pipeline run none --set model.trainer=[", r"as in (--set '.*')\.$", "pipeline run none {0}"),
    Case("monitor run", r"window: (--last \w+), --start and --end, or", "monitor run {0}"),
    Case("monitor run", r"or (--window) START/END", "monitor run {0} 2026-01-05/2026-01-19"),
    Case("monitor run", r"--last 14d, (--start) and (--end), or", "monitor run {0} 2026-01-05 {1} 2026-01-19"),
    Case("monitor run --until 2026-06-08", r"as in (--last .*)\.$", "monitor run {0}"),
    Case("monitor run --window 2026-01-05", r"as in (\S+)\.$", "monitor run --window {0}"),
    *(
        Case("monitor run --last 5x", pattern, "monitor run --last {0}")
        for pattern in (r"as in (\w+),", r"h, (\w+) or", r"or (\w+)\.$")
    ),
    Case("monitor weekly --start 2026-01-05 --end 2026-02-02 --models ,", r"as in (--models \S+)\.$",
         "monitor weekly --start 2026-01-05 --end 2026-02-02 {0}"),
    Case("monitor policy --policy none", r"one of (\w+)", "monitor policy --policy {0}", whole=True),
    Case("data ingest", r"or (--generate)", "data ingest {0} --rows 200 --weeks 4", whole=True),
    Case("data quarantine refused-0", r"`plumbline (data quarantine --refused)`", "{0}", whole=True),
    Case("data show", r"`plumbline (data ingest --generate)`", "{0} --rows 200 --weeks 4", whole=True),
    *(
        Case("data generate --rows 50 --weeks 2 --out {tmp}/x.foo", rf"(\{ending})[,.]",
             "data generate --rows 50 --weeks 2 --out {tmp}/x{0}", whole=True)
        for ending in (".csv", ".csv.gz", ".jsonl", ".parquet")
    ),
    Case("data generate --out {tmp}/y.csv --rows 50 --weeks 2 --change-point 2026-01-05", r"Give (--scenario) and",
         "data generate --out {tmp}/y.csv --rows 50 --weeks 2 --change-point 2026-01-05 {0} new_board"),
    *(
        Case(f"features build {{snapshot}} --as-of {wrong}", pattern, "features build --as-of {0}")
        for wrong in ("yesterday", "05.01.2026", "2026-02-31", "1767571200")
        for pattern in (r"write it as (\S+) or", r"or (\S+)\. `now`", r"`(now)`", r"`(latest)`")
    ),
    Case("monitor answers --since soon", r"write it as (\S+) or", "monitor answers --since {0}"),
    Case("serve run --port 70000", r"number from (1) to", "serve run --port {0}",
         env={"PLUMBLINE_SERVING__HOST": "127.0.0.1"}),
    Case("load run --url nowhere", r"such as (\S+)\.$", "load run --url {0} --snapshot none"),
    Case("load run --slo fast", r"such as (\S+)\.$", "load run --slo {0} --url http://127.0.0.1:9"),
    Case("load run --steps a,b --each 1", r"as in (--steps \S+)\.$", "load run {0} --each 1 --url http://127.0.0.1:9"),
    Case("load run --header :x", r"write (--header '.*')\.$", "load run {0} --url http://127.0.0.1:9"),
    Case("controller run", r"or set (\S+) to (false)", "controller status",
         env={"PLUMBLINE_CONTROLLER__HOST": "0.0.0.0"}, env_then={"PLUMBLINE_CONTROLLER__ACCESS__REQUIRED": "{1}"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.line}: {case.advice}"[:90])
def test_what_is_advised_is_accepted(case: Case, tmp_path: Path) -> None:
    home = {"PLUMBLINE_HOME": str(tmp_path / "home")}
    first = said(_words(case.line, [], tmp_path), home | dict(case.env))
    assert first is not None, "it is refused"
    found = re.search(case.advice, first)
    assert found is not None, first
    groups = found.groups()
    filled = {_fill(name, groups, tmp_path): _fill(value, groups, tmp_path) for name, value in case.env_then.items()}
    kept = {} if case.then is None else dict(case.env)
    then = said(_words(case.then or case.line, groups, tmp_path), home | kept | filled)
    assert then is None or (not case.whole and not re.search(case.advice, then)), then


def test_a_chain_of_advices_ends(tmp_path: Path) -> None:
    """From an empty home on, each refusal names the command that comes first; at the end all has been done."""
    home = {"PLUMBLINE_HOME": str(tmp_path / "home")}
    wanted = "features parity --pairs 50"
    line, carried = wanted, []
    for _ in range(12):
        refusal = said(shlex.split(line), home)
        if refusal is None:
            if line == wanted:
                break
            line = wanted
            continue
        advised = re.search(r"`plumbline ([^`.]+)`", refusal)
        assert advised is not None, refusal
        line = advised[1] + (" --rows 300 --weeks 6" if "--generate" in advised[1] else "")
        carried.append(line)
    assert line == wanted, carried
    assert "data ingest --generate --rows 300 --weeks 6" in carried


def _fill(text: str, groups: Sequence[str], folder: Path) -> str:
    return text.format(*groups, tmp=folder, snapshot="--snapshot latest")


def _words(line: str, groups: Sequence[str], folder: Path) -> list[str]:
    return shlex.split(_fill(line, groups, folder))


def said(words: list[str], env: Mapping[str, str]) -> str | None:
    """How the command is refused; None: it is not."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        try:
            load_settings()
            build_app(words)(words, standalone_mode=False)
        except (PlumblineError, USAGE_ERROR) as error:
            return str(error)
        return None
