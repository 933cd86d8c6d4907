"""The first sentence of the report, for every way in which a run can end, and that its advice can be followed."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer

from plumbline.cli.main import build_app
from plumbline.demo.report.outcome import Outcome, outcome_of, retraining_mark

Figures = dict[str, Any]


def _resolves(command: str) -> None:
    """Whether `plumbline ...` names commands and options that there are; nothing is run."""
    words = shlex.split(command)
    assert words[0] == "plumbline"
    found: Any = typer.main.get_command(build_app(words[1:]))
    context = found.make_context("plumbline", words[1:])
    while hasattr(found, "resolve_command"):
        name, found, rest = found.resolve_command(context, [*context._protected_args, *context.args])
        context = found.make_context(name, rest, parent=context)


def _follow(outcome: Outcome) -> Outcome:
    for advice in outcome.advice:
        if advice.command is not None:
            _resolves(advice.command)
    return outcome


def test_a_loop_that_closed(finished: Figures) -> None:
    outcome = _follow(outcome_of(finished))
    assert outcome.tone == "good"
    assert outcome.sentence.startswith("The loop closed: drift was noticed, version 2 was trained")
    assert outcome.more == ["In the weeks after, its accuracy is 0.804; version 1 has 0.641 on the same postings."]
    assert [advice.command for advice in outcome.advice] == ["plumbline models compare 1 2"]


def test_a_loop_that_closed_for_the_worse(finished: Figures) -> None:
    for row in finished["loop"]["weekly"]:
        row["with_loop"] = row["without_loop"] - 0.1 * (row["served_version"] == "2")
    outcome = _follow(outcome_of(finished))
    assert outcome.tone == "look"
    assert "no better for it" in outcome.more[0]
    assert any("rollback" in str(advice.command) for advice in outcome.advice)


def test_a_champion_that_stayed_is_said_plainly(rejected: Figures) -> None:
    outcome = _follow(outcome_of(rejected))
    assert outcome.tone == "look"
    assert outcome.sentence == (
        "The champion stayed: version 2 was trained after the alert, and the gate rejected it. Version 1 is still "
        "served."
    )
    assert outcome.more[0].startswith("The challenger's accuracy is +0.004")


def test_a_version_that_waits_for_a_person(rejected: Figures) -> None:
    rejected["loop"]["gate_verdict"] = "review"
    outcome = _follow(outcome_of(rejected))
    assert "waits for a person" in outcome.sentence
    assert 'plumbline models promote 2 --reason "..."' in [advice.command for advice in outcome.advice]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("awaiting_approval", "waits for approval"),
        ("rolled_back", "was rolled back by its canary"),
        ("promoted", "is not served"),
    ],
)
def test_a_version_that_passed_and_is_not_served(rejected: Figures, state: str, said: str) -> None:
    rejected["loop"]["gate_verdict"] = "promote"
    rejected["loop"]["retraining"]["state"] = state
    assert said in _follow(outcome_of(rejected)).sentence


def test_a_drift_that_nobody_noticed(finished: Figures) -> None:
    finished["monitor"]["drifted_window_alerts"] = 0
    finished["loop"] |= {"retrained": False, "retraining": None, "gate_verdict": None, "served_version_after": "1"}
    outcome = _follow(outcome_of(finished))
    assert outcome.sentence == (
        "The champion stayed: the drifted window raised no alert, so nothing was retrained. Version 1 is still served."
    )
    assert retraining_mark(finished["loop"]) is None
    finished["monitor"]["drifted_window_alerts"] = 2
    assert "raised 2 alerts, and no retraining followed" in _follow(outcome_of(finished)).sentence


def test_a_stage_that_failed_is_said_first(finished: Figures) -> None:
    finished["outcome"], finished["resume"] = "failed", "plumbline demo --data ads.csv --mapping ads.yaml"
    error = "The postings span 6 weeks; the demo needs at least 8. Give a longer file.\nand more lines"
    finished["stages"][0] |= {"state": "failed", "error": error}
    outcome = _follow(outcome_of(finished))
    assert outcome.tone == "bad"
    assert outcome.sentence == (
        "The run failed in the stage Postings: The postings span 6 weeks; the demo needs at least 8. Give a longer "
        "file."
    )
    assert outcome.advice[0].command == finished["resume"]


def test_a_loop_that_failed_is_said_first(finished: Figures) -> None:
    finished["outcome"] = "failed"
    finished["stages"][-1] |= {"state": "failed", "error": "The retraining failed: no disk space"}
    assert outcome_of(finished).sentence == "The loop failed: The retraining failed: no disk space."
    assert any("logs" in advice.text for advice in outcome_of(finished).advice)


def test_a_retraining_that_failed_in_a_run_that_ended(rejected: Figures) -> None:
    rejected["loop"]["retraining"] |= {"state": "failed", "error": "Step train: too few rows."}
    outcome = _follow(outcome_of(rejected))
    assert outcome.sentence == "The loop failed, because the retraining did: Step train: too few rows."
    assert retraining_mark(rejected["loop"]) == "retraining failed"


def test_a_run_that_was_stopped(finished: Figures) -> None:
    finished["outcome"] = "stopped"
    finished["stages"][3] |= {"state": "failed", "error": None}
    assert outcome_of(finished).sentence.startswith("The run was stopped in the stage Serving; what it had found")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("reject", "The gate rejected the first model: Macro-F1 is low."),
        ("review", "The first model waits for a person"),
    ],
)
def test_a_first_model_that_did_not_get_in(verdict: str, said: str) -> None:
    gate = {"verdict": verdict, "reasons": ["Macro-F1 is low."]}
    assert _follow(outcome_of({"training": {"gate": gate, "model_version": "1"}})).sentence.startswith(said)


def test_nothing_at_all() -> None:
    assert outcome_of({}).sentence == "The run has no figures of the loop."
    assert outcome_of({"outcome": "failed"}).sentence == "The run failed before its first stage."


def test_a_good_outcome_hides_no_flaw(finished: Figures) -> None:
    finished["parity"]["matched"] -= 3
    finished["load"] |= {"errors": 4, "p99_ms": 61.0}
    finished["monitor"]["clean_window_alerts"] = 1
    more = " ".join(outcome_of(finished).more)
    for said in (
        "differ on 3 sampled pairs",
        "4 of 2,000 requests",
        "61.0 ms, is above the budget of 50",
        "false ones",
    ):
        assert said in more


@pytest.mark.parametrize(
    ("change", "mark"),
    [
        ({}, "version 2 took over"),
        ({"served_version_after": "1", "gate_verdict": "reject"}, "version 2 rejected"),
        ({"served_version_after": "1", "gate_verdict": "review"}, "version 2 waits for a person"),
        ({"served_version_after": "1", "gate_verdict": "promote"}, "version 2 passed, not served"),
        ({"served_version_after": "1", "gate_verdict": None}, "version 2 came to nothing"),
        ({"retrained": False}, None),
    ],
)
def test_the_chart_marks_what_came_of_the_retraining(finished: Figures, change: Figures, mark: str | None) -> None:
    assert retraining_mark(finished["loop"] | change) == mark
