"""Help, version and completion; and every line of `plumbline` that help, messages or documentation offer, held against
the commands that there are."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from command_lines import USAGE_ERROR, command_of, commands, is_group, lines_in, options_of, texts
from typer.testing import CliRunner

from plumbline import __version__
from plumbline.cli.main import build_app
from plumbline.process.children import plumbline_line
from plumbline.settings import Settings
from plumbline.settings._explain import group_of, setting_paths

_NUMBER = "should be a valid integer"


def problem_of(words: list[str]) -> str | None:
    """What the command would say of a line; a letter that stands for a number is none."""
    found = command_of(words)
    if found is None:
        return f"there is no command {' '.join(words)}"
    command, rest = found
    try:
        command.make_context(words[0], list(rest))
    except USAGE_ERROR as error:
        return None if _NUMBER in str(error) else f"{' '.join(words)}: {error}"
    return None


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_every_command_has_an_example_that_it_takes(words: tuple[str, ...]) -> None:
    helped = CliRunner().invoke(build_app(words), [*words, "-h"])
    assert helped.exit_code == 0, helped.output
    shown = re.findall(r"^ +plumbline (.+)$", str(commands()[words].epilog), re.MULTILINE)
    assert shown
    assert [line for line in shown if f"plumbline {line}" not in helped.output] == [], "they are not broken or filled"
    for line in shown:
        (given,) = lines_in(f"plumbline {line.replace(' -- ', ' ')}") if "--answer" not in line else [line.split()]
        assert given[: len(words)] == list(words)
        assert problem_of(given) is None


@pytest.mark.parametrize("words", [[], ["models"], ["serve", "log"], ["models", "promote"]], ids=" ".join)
def test_groups_take_both_spellings_of_help(words: list[str]) -> None:
    short, long = (CliRunner().invoke(build_app(words), [*words, option]) for option in ("-h", "--help"))
    assert short.exit_code == long.exit_code == 0
    assert short.output == long.output


@pytest.mark.parametrize(
    "words", sorted({path[:length] for path in commands() for length in range(len(path))}), ids=" ".join
)
def test_groups_list_their_commands_in_whole_sentences(words: tuple[str, ...]) -> None:
    listed = CliRunner().invoke(build_app(words), [*words, "-h"]).output.partition("Commands:\n")[2]
    rows = re.split(r"^ {2}(?=\S)", listed, flags=re.MULTILINE)[1:]
    assert {row.split()[0] for row in rows} >= {path[len(words)] for path in commands() if path[: len(words)] == words}
    assert [row for row in rows if len(row.split()) < 3 or not row.rstrip().endswith(".") or "..." in row] == []


def test_every_line_that_is_offered_names_what_there_is() -> None:
    wrong, seen = [], 0
    for place, text in texts():
        for words in lines_in(text):
            found = command_of(words)
            known = words[:2] if len(words) > 1 and not words[1].startswith("-") else words[:1]
            if found is None:
                if not is_group(known) and (words[0] in dict(commands()) or is_group(words[:1])):
                    wrong.append(f"{place}: there is no plumbline {' '.join(known)}")
                continue
            seen += 1
            command, rest = found
            rest = rest[: rest.index("--")] if "--" in rest else rest
            options = {word.strip("[]").partition("=")[0] for word in rest if word.strip("[").startswith("--")}
            wrong += [f"{place}: plumbline {' '.join(words)}: {name}" for name in options - options_of(command)]
    assert wrong == []
    assert seen > 300, "they are found"


def test_a_line_in_a_message_is_whole_or_says_that_it_is_not() -> None:
    """What is copied from a message runs: all that a command must be given stands there, or an ellipsis does."""
    problems = []
    for place, text in texts():
        if not place.endswith(".md"):
            for line in re.findall(r"`plumbline [^`]+`", text):
                whole = [words for words in lines_in(line) if "..." not in line and not is_group(words)]
                problems += [f"{place}: {problem}" for words in whole if (problem := problem_of(words))]
    assert problems == []


def test_every_setting_that_is_named_exists() -> None:
    paths = {".".join(path) for path in setting_paths(Settings)}
    known = paths | {path.rsplit(".", count)[0] for path in paths for count in range(1, 5)}
    groups = "|".join(name for name, field in Settings.model_fields.items() if group_of(field.annotation))
    no_settings = {"model.safetensors", "serving.mode", "serving.release.evidence", "serving.requests"}
    wrong, seen = [], 0
    for place, text in texts():
        named = {name[10:].lower().replace("__", ".") for name in re.findall(r"PLUMBLINE_[A-Z]+__[A-Z_]+[A-Z]", text)}
        if not place.endswith(".md"):
            spelled = rf"(?<![\w./])(?:{groups})(?:\.[a-z][a-z_0-9]*)+(?![\w/(:])"
            named |= {name for name in re.findall(spelled, text) if not re.search(_FILE, name)} - no_settings
        seen += len(named)
        wrong += [f"{place}: {name}" for name in named - known if not name.startswith("serving.models.")]
    assert wrong == []
    assert seen > 100, "they are found"


_FILE = r"\.(com|json|lock|log|md|parquet|py|sqlite|yaml|yml)$"


def test_the_version_is_an_option_and_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_SERVING__PORT", "wrong")
    done = subprocess.run(plumbline_line("--version"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("plumbline mod", "models"),
        ("plumbline models pro", "promote"),
        ("plumbline models promote --ov", "--override-gate"),
        ("plumbline serve log pru", "prune"),
    ],
)
def test_a_shell_completes(line: str, offered: str) -> None:
    def asked(what: str, **more: str) -> str:
        variables = {**os.environ, **more, "_PLUMBLINE_COMPLETE": what}
        return subprocess.run(plumbline_line(), env=variables, capture_output=True, text=True, check=True).stdout

    assert "complete -o default -F" in asked("source_bash")
    assert asked("complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split()) - 1)).split() == [offered]
