"""How a run went, in one sentence, and what to do next: what the report opens with.

Every command that is advised is one of this installation's; a test resolves each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Tone = Literal["good", "look", "bad"]
Figures = Mapping[str, Any]

_LOOP = "The loop"


@dataclass(frozen=True)
class Advice:
    """One thing to do next.

    Attributes:
        text: What for.
        command: The command that does it, or nothing.
    """

    text: str
    command: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
        tone: Whether it went well, wants a look, or did not end.
        sentence: The first sentence of the report.
        more: What else must be known before the figures are read.
        advice: What to do next, the nearest first.
    """

    tone: Tone
    sentence: str
    more: list[str] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)


def outcome_of(figures: Figures) -> Outcome:
    """Says how a run went, from whatever figures it has."""
    found = _not_ended(figures) or _loop_outcome(figures)
    return Outcome(found.tone, found.sentence, [*found.more, *_flaws(figures)], found.advice)


def retraining_mark(loop: Figures) -> str | None:
    """What came of the retraining, in the few words that a chart has room for; None where there was none."""
    retraining = loop.get("retraining") or {}
    if not loop.get("retrained"):
        return None
    version = retraining.get("model_version")
    name = f"version {version}" if version else "retraining"
    if retraining.get("state") == "failed":
        return "retraining failed"
    if _took_over(loop):
        return f"{name} took over"
    words = {"reject": "rejected", "review": "waits for a person", "promote": "passed, not served"}
    return f"{name} {words.get(str(loop.get('gate_verdict')), 'came to nothing')}"


def accuracy_after(figures: Figures) -> tuple[float, float] | None:
    """Accuracy after the retraining with the loop and without, over all postings of these weeks; None if unknown."""
    loop, timeline = figures.get("loop"), figures.get("timeline")
    if not loop or not timeline:
        return None
    since = datetime.fromisoformat(timeline["retraining"])
    rows = [row for row in loop.get("weekly") or [] if datetime.fromisoformat(row["week"]) >= since]
    total = sum(row["n"] for row in rows)
    if not total:
        return None
    with_loop, without = (sum(row[name] * row["n"] for row in rows) / total for name in ("with_loop", "without_loop"))
    return float(with_loop), float(without)


def _not_ended(figures: Figures) -> Outcome | None:
    """The outcome of a run that failed or was stopped, or whose retraining failed; None for one that ended."""
    resume = figures.get("resume")
    go_on = [Advice("Go on from there:", resume)] if resume else []
    logs = Advice("What each command said lies in the folder logs beside this page.")
    retraining = (figures.get("loop") or {}).get("retraining") or {}
    if figures.get("outcome") == "failed":
        stage = next((each for each in figures.get("stages") or [] if each["state"] == "failed"), None)
        if stage is None:
            return Outcome("bad", "The run failed before its first stage.", advice=[*go_on, logs])
        said = _sentence(stage.get("error") or "it gave no reason; its log may")
        if stage["name"] == _LOOP:
            return Outcome("bad", f"The loop failed: {said}", advice=[*go_on, logs])
        return Outcome("bad", f"The run failed in the stage {stage['name']}: {said}", advice=[*go_on, logs])
    if retraining.get("state") == "failed":
        said = _sentence(retraining.get("error") or "it gave no reason")
        retry = Advice("See what the controller tried, and when:", "plumbline controller status")
        return Outcome("bad", f"The loop failed, because the retraining did: {said}", advice=[*go_on, retry, logs])
    if figures.get("outcome") == "stopped":
        return Outcome(
            "look", f"The run was stopped{_where(figures)}; what it had found until then is below.", advice=go_on
        )
    return None


def _where(figures: Figures) -> str:
    open_ = next((each for each in figures.get("stages") or [] if each["state"] != "done"), None)
    return f" in the stage {open_['name']}" if open_ is not None else ""


def _loop_outcome(figures: Figures) -> Outcome:
    loop = figures.get("loop")
    if loop is None:
        return _first_model(figures.get("training") or {})
    before, after = loop.get("served_version_before"), loop.get("served_version_after")
    if not loop.get("retrained"):
        return _no_retraining(figures, before)
    version = (loop.get("retraining") or {}).get("model_version")
    if _took_over(loop):
        return _closed(figures, before, after)
    return _champion_stayed(loop, before, version)


def _first_model(training: Figures) -> Outcome:
    gate, version = training.get("gate") or {}, training.get("model_version")
    show = [Advice("Look at the version:", f"plumbline models show {version}")] if version else []
    reasons = _sentence(" ".join(gate.get("reasons") or ["it gave no reason"]))
    if gate.get("verdict") == "reject":
        return Outcome("bad", f"The gate rejected the first model: {reasons}", advice=show)
    if gate.get("verdict") == "review":
        promote = Advice("Promote it:", f'plumbline models promote {version} --reason "..."')
        return Outcome("look", f"The first model waits for a person: {reasons}", advice=[*show, promote])
    return Outcome("look", "The run has no figures of the loop.")


def _took_over(loop: Figures) -> bool:
    before, after = loop.get("served_version_before"), loop.get("served_version_after")
    return after is not None and before != after


def _no_retraining(figures: Figures, before: Any) -> Outcome:
    alerts = (figures.get("monitor") or {}).get("drifted_window_alerts")
    if alerts:
        return Outcome(
            "bad",
            f"The champion stayed: the drifted window raised {alerts} {'alert' if alerts == 1 else 'alerts'}, and no "
            f"retraining followed. Version {before} is still served.",
            advice=[Advice("See what became of the alert:", "plumbline controller status")],
        )
    return Outcome(
        "look",
        f"The champion stayed: the drifted window raised no alert, so nothing was retrained. Version {before} is still "
        "served.",
        advice=[
            Advice("See how near each test came to its limit, in the section Monitoring."),
            Advice(
                "See the limits' policy, which says how small a change is too small to matter:",
                "plumbline monitor policy",
            ),
        ],
    )


def _closed(figures: Figures, before: Any, after: Any) -> Outcome:
    compared = Advice("Compare both versions:", f"plumbline models compare {before} {after}")
    back = Advice("Go back to the version before:", 'plumbline models rollback --reason "..."')
    means = accuracy_after(figures)
    said = f"The loop closed: drift was noticed, version {after} was trained on what followed, and it is served now."
    if means is None:
        return Outcome("good", said, advice=[compared])
    with_loop, without = means
    if with_loop > without:
        more = (
            f"In the weeks after, its accuracy is {with_loop:.3f}; version {before} has {without:.3f} on the same "
            "postings."
        )
        return Outcome("good", said, [more], [compared])
    more = (
        f"It is no better for it: in the weeks after, its accuracy is {with_loop:.3f}, and version {before} has "
        f"{without:.3f} on the same postings."
    )
    return Outcome("look", said, [more], [compared, back])


def _champion_stayed(loop: Figures, before: Any, version: Any) -> Outcome:
    verdict = loop.get("gate_verdict")
    gate = ((loop.get("retraining") or {}).get("result") or {}).get("gate") or {}
    reasons = " ".join(gate.get("reasons") or [])
    show = Advice("See all figures of the version:", f"plumbline models show {version}")
    compared = Advice("Compare it with the champion:", f"plumbline models compare {before} {version}")
    promote = f'plumbline models promote {version} --reason "..."'
    served = f"Version {before} is still served."
    if verdict == "reject":
        return Outcome(
            "look",
            f"The champion stayed: version {version} was trained after the alert, and the gate rejected it. {served}",
            [reasons] if reasons else [],
            [
                show,
                compared,
                Advice("More labelled weeks may bring a better one: retrain when their labels are there."),
                Advice("Promote it nevertheless, if you know better than the gate:", f"{promote} --override-gate"),
            ],
        )
    if verdict == "review":
        return Outcome(
            "look",
            f"The champion stayed for now: version {version} passed the gate's tests of quality, and waits for a "
            f"person. {served}",
            [reasons] if reasons else [],
            [show, compared, Advice("Promote it:", promote)],
        )
    if verdict == "promote":
        return _passed_and_not_served(loop.get("retraining") or {}, version, served)
    return Outcome(
        "bad",
        f"The champion stayed: the retraining came to no verdict. {served}",
        advice=[Advice("See where it stands:", "plumbline controller status")],
    )


def _passed_and_not_served(retraining: Figures, version: Any, served: str) -> Outcome:
    where, status = "is not served", Advice("See where the retraining stands:", "plumbline controller status")
    advice = [status, Advice("See which version is the champion:", "plumbline models list")]
    if retraining.get("state") == "awaiting_approval":
        where = "waits for approval"
        advice = [Advice("Approve it:", f"plumbline controller approve {retraining.get('id')}"), status]
    elif retraining.get("state") == "rolled_back":
        where = "was rolled back by its canary"
    return Outcome(
        "look", f"The champion stayed: version {version} passed the gate, and {where}. {served}", advice=advice
    )


def _flaws(figures: Figures) -> list[str]:
    """What went wrong besides: a good outcome must not hide it."""
    parity, load, monitor = (figures.get(name) or {} for name in ("parity", "load", "monitor"))
    found = []
    if parity and parity["matched"] != parity["checked"]:
        found.append(f"Offline and online features differ on {parity['checked'] - parity['matched']:,} sampled pairs.")
    if load.get("errors"):
        found.append(f"{load['errors']:,} of {load['sent']:,} requests under load were not answered.")
    if load and load["p99_ms"] > load["budget_ms"]:
        p99, budget = load["p99_ms"], load["budget_ms"]
        found.append(f"The latency's 99th percentile, {p99:.1f} ms, is above the budget of {budget:.0f} ms.")
    if monitor.get("clean_window_alerts"):
        found.append(f"The window before the drift raised {monitor['clean_window_alerts']} alerts: false ones.")
    return found


def _sentence(text: str | Sequence[str]) -> str:
    """The first line of what an error said, as a sentence."""
    first = str(text).strip().splitlines()[0].strip()
    return first if first.endswith((".", "!", "?")) else f"{first}."
