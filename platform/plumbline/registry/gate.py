"""The gate: whether a challenger may become the champion, and every number behind the answer.

Both models are judged on the same rows, which neither was trained on. With a champion there is exactly one way
in: the lower bound of the difference is above zero. Being newer is no merit. A version that is slow and otherwise good
is left to a person: whether its answers are worth their price depends on the machines that will serve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline.registry.bootstrap import Codes, Difference, accuracy_of, bounds, draw_counts, macro_f1_of
from plumbline.registry.slices import SliceChange, class_changes, slice_changes
from plumbline.settings.pipelines import GateSettings

Texts = Sequence[str]
Verdict = Literal["promote", "review", "reject"]
"""`review`: every rule holds except that of processor time; a person decides."""


@dataclass(frozen=True)
class Candidate:
    """What is asked about the challenger, apart from its answers."""

    calibration_error: float
    """Expected calibration error on its evaluation rows."""

    processor_ms: float
    """Median processor time of one posting through the model, milliseconds, with serving's threads."""

    champion_processor_ms: float | None
    """The champion's, measured in turns with it; None where there is no champion."""

    parity: Mapping[str, Any] | None
    """The record of the comparison of its offline and online features (`plumbline.features.parity_record`)."""

    parity_objections: Sequence[str]
    """What is to be said against it, in sentences: not measured, of something else, or not all equal."""

    no_comparison: str | None = None
    """Why the champion that there is cannot be compared with, in a sentence."""


@dataclass(frozen=True)
class Rows:
    """The untouched rows and what each model answers on them; all of one length."""

    truth: Texts
    """True label of each row."""

    challenger: Texts
    """The challenger's answer."""

    champion: Texts | None
    """The champion's answer; None where there is no champion."""

    boards: Texts
    """Where each row was posted: the slices beside the classes."""


@dataclass(frozen=True)
class GateVerdict:
    """The decision and its grounds."""

    verdict: Verdict
    reasons: list[str]
    """Sentences: every rule that was broken, else why it may go in."""

    numbers: dict[str, Any] = field(default_factory=dict)
    """Every figure and limit that was looked at; JSON-able."""


def decide(rows: Rows, candidate: Candidate, rules: GateSettings) -> GateVerdict:
    """Judges a challenger.

    Args:
        rows: Rows that neither model was trained on.
        candidate: The challenger's calibration, latency and parity.
        rules: Limits.

    Returns:
        `promote` only when every rule holds; `review` when only the processor time is too long, or there is a champion
        that cannot be compared with.
    """
    numbers: dict[str, Any] = {"rows": len(rows.truth), "limits": rules.model_dump()}
    broken = _health(candidate, rules, numbers)
    slow = _slowness(candidate, rules, numbers)
    if len(rows.truth) < rules.min_rows:
        broken.append(
            f"Only {len(rows.truth)} labelled rows are untouched by both models; {rules.min_rows} are needed. "
            "Wait for more labels, or evaluate on more days."
        )
        return GateVerdict("reject", broken + slow, numbers)
    if rows.champion is None:
        failed, passed = _against_floors(rows, rules, numbers)
    else:
        failed, passed = _against_champion(rows, rows.champion, rules, numbers)
    broken += failed
    if broken:
        return GateVerdict("reject", broken + slow, numbers)
    if (parity := candidate.parity) is not None:
        passed.append(
            f"Offline and online features agree on all {parity['checked']:,} pairs compared at {parity['measured_at']}."
        )
    if candidate.no_comparison is not None:
        return GateVerdict("review", [*passed, *slow, candidate.no_comparison, _A_PERSON_COMPARES], numbers)
    if slow:
        return GateVerdict("review", [*passed, *slow, _A_PERSON_DECIDES], numbers)
    return GateVerdict("promote", passed, numbers)


_A_PERSON_COMPARES = (
    "A person decides whether it takes the champion's place, with `plumbline models promote VERSION --reason ...`."
)

_A_PERSON_DECIDES = (
    "A person decides whether it is worth that, with `plumbline models promote VERSION --reason ...`; to let such "
    "models in by themselves, raise pipelines.gate.max_processor_ms."
)


def _health(candidate: Candidate, rules: GateSettings, numbers: dict[str, Any]) -> list[str]:
    numbers |= {
        "calibration_error": candidate.calibration_error,
        "parity": None if candidate.parity is None else dict(candidate.parity),
    }
    broken = list(candidate.parity_objections)
    if not candidate.calibration_error <= rules.max_calibration_error:
        broken.append(
            f"The calibration error is {candidate.calibration_error:.3f}, above {rules.max_calibration_error:.3f}."
        )
    return broken


def _slowness(candidate: Candidate, rules: GateSettings, numbers: dict[str, Any]) -> list[str]:
    ours, champion = candidate.processor_ms, candidate.champion_processor_ms
    numbers |= {"processor_ms": ours, "champion_processor_ms": champion}
    if ours <= rules.max_processor_ms or (champion is not None and ours <= champion * (1 + rules.slowdown_tolerance)):
        return []
    beside = "" if champion is None else f" (the champion {champion:.1f} ms, in turns)"
    return [f"One posting takes {ours:.1f} ms of processor time{beside}, above {rules.max_processor_ms:.1f} ms."]


def _against_floors(rows: Rows, rules: GateSettings, numbers: dict[str, Any]) -> tuple[list[str], list[str]]:
    truth, (challenger,), labels = _encode(rows.truth, rows.challenger)
    counts = draw_counts(len(truth), resamples=rules.resamples, seed=rules.seed)
    accuracy = bounds(float((truth == challenger).mean()), accuracy_of(truth, challenger, counts), rules.confidence)
    macro_f1 = float(macro_f1_of(truth, challenger, np.ones((1, len(truth))), len(labels))[0])
    majority = float(np.bincount(truth).max() / len(truth))
    floor = majority + rules.floor_margin
    numbers |= {
        "champion": None,
        "accuracy": accuracy.estimate,
        "accuracy_lower": accuracy.lower,
        "macro_f1": macro_f1,
        "majority_share": majority,
        "accuracy_floor": floor,
    }
    broken = []
    if not accuracy.lower > floor:
        broken.append(
            f"Accuracy is {accuracy.estimate:.3f} with the lower bound {accuracy.lower:.3f}; always answering the "
            f"commonest class gives {majority:.3f}, and {floor:.3f} is needed."
        )
    if not macro_f1 >= rules.floor_macro_f1:
        broken.append(f"Macro-F1 is {macro_f1:.3f}, below {rules.floor_macro_f1:.3f}.")
    passed = (
        f"There is no champion to compare with; accuracy {accuracy.estimate:.3f} (lower bound {accuracy.lower:.3f}) is "
        f"above the floor of {floor:.3f} on {len(truth)} untouched rows."
    )
    return broken, [passed]


def _against_champion(
    rows: Rows, champion_answers: Texts, rules: GateSettings, numbers: dict[str, Any]
) -> tuple[list[str], list[str]]:
    truth, (challenger, champion), labels = _encode(rows.truth, rows.challenger, champion_answers)
    counts = draw_counts(len(truth), resamples=rules.resamples, seed=rules.seed)
    differences = {
        "accuracy": _accuracy_difference(truth, challenger, champion, counts, rules.confidence),
        "macro_f1": _macro_f1_difference(truth, challenger, champion, counts, len(labels), rules.confidence),
    }
    main, other = rules.metric, "macro_f1" if rules.metric == "accuracy" else "accuracy"
    changes = class_changes(
        truth, challenger, champion, labels=labels, counts=counts, min_rows=rules.slice_min_rows
    ) + slice_changes(
        {"board": rows.boards},
        challenger_right=challenger == truth,
        champion_right=champion == truth,
        min_rows=rules.slice_min_rows,
    )
    ones = np.ones((1, len(truth)))
    numbers |= {
        "champion": {
            "accuracy": float((truth == champion).mean()),
            "macro_f1": float(macro_f1_of(truth, champion, ones, len(labels))[0]),
        },
        "challenger": {
            "accuracy": float((truth == challenger).mean()),
            "macro_f1": float(macro_f1_of(truth, challenger, ones, len(labels))[0]),
        },
        "difference": {name: vars(difference) for name, difference in differences.items()},
        "slices": [vars(change) for change in changes],
    }
    gain = differences[main]
    broken = []
    if not gain.lower > 0:
        broken.append(
            f"The challenger's {_NAMES[main]} is {gain.estimate:+.3f} against the champion's on {len(truth)} untouched "
            f"rows, with the lower bound {gain.lower:+.3f}; it must be above zero."
        )
    if differences[other].estimate < -rules.other_metric_tolerance:
        broken.append(
            f"Its {_NAMES[other]} is {differences[other].estimate:+.3f} against the champion's; "
            f"a fall of {rules.other_metric_tolerance:.3f} is tolerated."
        )
    broken += [_slice_sentence(change) for change in _worse(changes, rules)]
    passed = (
        f"The challenger's {_NAMES[main]} is {gain.estimate:+.3f} against the champion's on {len(truth)} untouched "
        f"rows, with the lower bound {gain.lower:+.3f} at {rules.confidence:.0%} confidence."
    )
    return broken, [passed]


_NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def _worse(changes: Sequence[SliceChange], rules: GateSettings) -> list[SliceChange]:
    """Slices that fell by more than the tolerance, and significantly so after Bonferroni's correction."""
    return [
        change
        for change in changes
        if change.difference < -rules.slice_tolerance and change.p_worse < rules.slice_alpha / len(changes)
    ]


def _slice_sentence(change: SliceChange) -> str:
    return (
        f"On {change.kind} {change.value} ({change.rows} rows) {change.measure} falls from {change.champion:.3f} to "
        f"{change.challenger:.3f} (p = {change.p_worse:.2g})."
    )


def _accuracy_difference(
    truth: Codes, challenger: Codes, champion: Codes, counts: NDArray[np.float64], confidence: float
) -> Difference:
    estimate = float((truth == challenger).mean() - (truth == champion).mean())
    return bounds(estimate, accuracy_of(truth, challenger, counts) - accuracy_of(truth, champion, counts), confidence)


def _macro_f1_difference(
    truth: Codes, challenger: Codes, champion: Codes, counts: NDArray[np.float64], classes: int, confidence: float
) -> Difference:
    once = np.ones((1, len(truth)))
    estimate = macro_f1_of(truth, challenger, once, classes) - macro_f1_of(truth, champion, once, classes)
    resampled = macro_f1_of(truth, challenger, counts, classes) - macro_f1_of(truth, champion, counts, classes)
    return bounds(float(estimate[0]), resampled, confidence)


def _encode(truth: Texts, *answers: Texts) -> tuple[Codes, list[Codes], list[str]]:
    """Labels as integers over all labels that occur anywhere: the models may know different classes."""
    labels = sorted({*truth, *(label for answer in answers for label in answer)})
    index = {label: number for number, label in enumerate(labels)}
    coded = [np.array([index[label] for label in texts], dtype=np.int64) for texts in (truth, *answers)]
    return coded[0], coded[1:], labels
