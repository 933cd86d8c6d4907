"""What a window's page begins with: what moved, the most important first, and the figures that panels draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from monitoring.alerting import Evidence, describe
from monitoring.detector import Finding, severity_of
from monitoring.window import Window

POSTINGS: Final = "postings"
LABELLED: Final = "labelled postings"
OVER_LIMIT: Final = "tests over their limits"
WITHIN_LIMIT: Final = "tests within their limits"
TESTS: Final = "tests made"
COLUMNS: Final = "columns watched"
STILL: Final = "columns that have not moved"
DRIFTED_SHARE: Final = "share of columns that moved"
ACCURACY: Final = "accuracy"
REFERENCE_ACCURACY: Final = "accuracy on the reference"
WORST: Final = {
    "distribution": "categories and numbers",
    "text": "frequent words",
    "unseen": "new values and words",
    "null_share": "missing values",
    "confidence": "confidence",
    "accuracy": "fall of accuracy",
}
"""Figure by kind of test: how far the worst test of the kind has gone, see `reached`."""

_NEAREST = 5
_HEADER = ("test", "window", "usual", "limit", "way to the limit")


@dataclass(frozen=True)
class Opening:
    """What a page begins with.

    Attributes:
        title: Heading.
        words: Markdown below it.
        header: Names of the table's columns.
        rows: Its rows.
        figures: Numbers by name: what panels draw. An accuracy without any label is left out.
    """

    title: str
    words: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, float]


def opening_of(
    findings: Sequence[Finding],
    window_frame: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    window: Window,
    version: str,
    evidence: Evidence,
) -> Opening:
    """Writes the opening of one window.

    Args:
        findings: All tests, the most important first.
        window_frame: The window's postings with `prediction` and the labels that had arrived.
        reference: What they were compared with, with `prediction` where the model had not seen the posting.
        window: When they were posted.
        version: Model version.
        evidence: Since when, and where.
    """
    made = [finding for finding in findings if finding.value is not None]
    breached = [finding for finding in made if finding.breached]
    figures = _figures(made, breached, window_frame, reference)
    nearest = sorted((each for each in made if not each.breached), key=severity_of, reverse=True)[:_NEAREST]
    return Opening(
        title=_title(breached, made),
        words="\n\n".join(_words(breached, figures, window, version, evidence)),
        header=_HEADER,
        rows=[_row(finding) for finding in (*breached, *nearest)],
        figures=figures,
    )


def reached(finding: Finding) -> float:
    """How far a test has gone from what is usual (0) to its limit (1) and beyond."""
    return 1.0 + severity_of(finding)


def _title(breached: Sequence[Finding], made: Sequence[Finding]) -> str:
    if not breached:
        return f"Nothing has moved beyond its limit ({len(made)} tests)"
    verb = "is beyond its limit" if len(breached) == 1 else "are beyond their limits"
    return f"{len(breached)} of {len(made)} tests {verb}"


def _words(
    breached: Sequence[Finding], figures: Mapping[str, float], window: Window, version: str, evidence: Evidence
) -> list[str]:
    labelled = f"{figures[LABELLED]:,.0f} of them labelled so far"
    words = [
        f"{figures[POSTINGS]:,.0f} postings of {window.start.date()} to {window.end.date()}, {labelled}, against what "
        f"version {version} was trained on."
    ]
    if breached:
        words.append("\n".join(f"{place}. {describe(finding)}" for place, finding in enumerate(breached, start=1)))
    if evidence.since is not None:
        where = ", ".join(f"{each.name} ({each.part:.0%} of the change)" for each in evidence.slices)
        words.append(f"Since {evidence.since.date()}.{f' Mostly in: {where}.' if where else ''}")
    if ACCURACY in figures and REFERENCE_ACCURACY in figures:
        words.append(
            f"Accuracy is {figures[ACCURACY]:.3f} on the labels that have arrived, and was "
            f"{figures[REFERENCE_ACCURACY]:.3f} on the reference's postings that the model had not seen."
        )
    return words


def _row(finding: Finding) -> list[str]:
    numbers = (finding.value, finding.expected, finding.threshold)
    return [
        f"{finding.statistic}: {finding.column}",
        *("" if number is None else f"{number:.3f}" for number in numbers),
        f"{max(reached(finding), 0.0):.0%}",
    ]


def _figures(
    made: Sequence[Finding], breached: Sequence[Finding], window_frame: pd.DataFrame, reference: pd.DataFrame
) -> dict[str, float]:
    columns, moved = ({finding.column for finding in some} for some in (made, breached))
    figures = {
        POSTINGS: float(len(window_frame)),
        LABELLED: float(window_frame["label"].notna().sum()),
        TESTS: float(len(made)),
        OVER_LIMIT: float(len(breached)),
        WITHIN_LIMIT: float(len(made) - len(breached)),
        COLUMNS: float(len(columns)),
        STILL: float(len(columns - moved)),
        DRIFTED_SHARE: len(moved) / max(len(columns), 1),
    }
    for name, frame in ((ACCURACY, window_frame), (REFERENCE_ACCURACY, reference)):
        known = frame[frame["label"].notna() & frame["prediction"].notna()]
        if len(known):
            figures[name] = float((known["label"].astype(str) == known["prediction"].astype(str)).mean())
    for kind, name in WORST.items():
        same = [reached(finding) for finding in made if finding.kind == kind]
        if same:
            figures[name] = max(same)
    return figures
