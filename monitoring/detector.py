"""Judges windows of postings against the reference of one model version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from monitoring.calibration import Null, Rows, Size, calibrate, statistics_of_window
from monitoring.columns import WEEK, cluster_codes, derive_columns, week_numbers
from monitoring.encoding import Comparison, Encoder
from monitoring.policy import DriftPolicy

_SEED = 20_260_101
_FEWEST_IN_STRATUM = 20
_SIZE_STEP = 1.25
"""Windows of nearly one size share a calibration; rounding down errs towards wider limits."""


@dataclass(frozen=True)
class Finding:
    """Outcome of one test of one window.

    Attributes:
        name: Kind and column.
        kind: What was compared.
        column: Of which column.
        statistic: Name of the statistic.
        value: Its value; None where the test was skipped.
        expected: What windows of this size show by chance and by ordinary weeks.
        threshold: Value at which the test is breached.
        effect: Value beyond `expected`, in the statistic's own unit.
        breached: Whether the window is not ordinary in this respect.
        skipped: Why the test could not be made, or None.
    """

    name: str
    kind: str
    column: str
    statistic: str
    value: float | None
    expected: float | None
    threshold: float | None
    effect: float | None
    breached: bool
    skipped: str | None = None


_STATISTICS = {
    "distribution": "Jensen-Shannon distance",
    "text": "Jensen-Shannon distance of frequent words",
    "null_share": "change in share of missing values",
    "unseen": "share of values never seen before",
    "confidence": "fall of mean probability",
    "accuracy": "fall of accuracy",
}


class Detector:
    """One reference, prepared once; any number of windows."""

    def __init__(self, reference: pd.DataFrame, policy: DriftPolicy, *, anchor: datetime) -> None:
        """Prepares the reference.

        Args:
            reference: Postings with `label`, `prediction`, `probability`; the last two null in rows that the
                model was fitted on.
            policy: What to watch.
            anchor: End of the reference; its weeks are counted back from here.
        """
        self._policy = policy
        self._anchor = anchor
        self._frame = derive_columns(reference)
        self._encoder = Encoder(policy)
        encoded = self._encoder.fit_transform(self._frame)
        self._strata = self._fit_strata()
        weeks = week_numbers(self._frame["event_timestamp"], anchor)
        self._reference = Rows(encoded, self._strata_of(self._frame), weeks, cluster_codes(self._frame, weeks))
        self._nulls: dict[Size, dict[str, Null]] = {}

    @property
    def policy(self) -> DriftPolicy:
        """What is watched."""
        return self._policy

    @property
    def tests(self) -> list[Comparison]:
        """All tests."""
        return self._encoder.tests

    @property
    def reference(self) -> pd.DataFrame:
        """The reference with its derived columns."""
        return self._frame

    def rows(self, window: pd.DataFrame) -> Rows:
        """Encodes a window (postings, with `prediction`, `probability` and arrived `label`)."""
        frame = derive_columns(window)
        weeks = week_numbers(frame["event_timestamp"], self._anchor)
        return Rows(self._encoder.transform(frame), self._strata_of(frame), weeks, cluster_codes(frame, weeks))

    def derive(self, window: pd.DataFrame) -> pd.DataFrame:
        """The window with its derived columns."""
        return derive_columns(window)

    @property
    def reference_rows(self) -> Rows:
        """The encoded reference."""
        return self._reference

    def size_of(self, window: pd.DataFrame, start: datetime, end: datetime) -> Size:
        """Size that the window is calibrated at, rounded down to steps."""
        labelled = int(window["label"].notna().sum())
        return Size(_rounded(len(window)), _rounded(labelled), max(1, round((end - start) / WEEK)))

    def nulls(self, size: Size) -> dict[str, Null]:
        """Thresholds for windows of this size; computed once."""
        if size not in self._nulls:
            self._nulls[size] = calibrate(self._reference, self.tests, self._policy, size, seed=_SEED)
        return self._nulls[size]

    def remember(self, size: Size, nulls: dict[str, Null]) -> None:
        """Takes thresholds that an earlier run computed."""
        self._nulls[size] = nulls

    def judge(self, window: pd.DataFrame, start: datetime, end: datetime) -> list[Finding]:
        """All tests of one window; breached ones first, then by how far they are beyond their threshold."""
        nulls = self.nulls(self.size_of(window, start, end))
        values = statistics_of_window(self.rows(window), self._reference, self.tests, self._policy)
        findings = [
            self._finding(test, value, nulls.get(test.name)) for test, value in zip(self.tests, values, strict=True)
        ]
        return sorted(findings, key=lambda finding: (not finding.breached, -severity_of(finding)))

    def floor_of(self, test: Comparison) -> float:
        """Smallest effect that matters for this test."""
        return float(getattr(self._policy.floors, test.kind))

    def _finding(self, test: Comparison, value: float, null: Null | None) -> Finding:
        statistic = _STATISTICS[test.kind]
        if np.isnan(value) or null is None:
            side = "window" if np.isnan(value) else "reference"
            reason = f"fewer than {self._policy.min_values} values in the {side}"
            return Finding(test.name, test.kind, test.column, statistic, None, None, None, None, False, reason)
        threshold = max(null.threshold, null.center + self.floor_of(test))
        return Finding(
            name=test.name,
            kind=test.kind,
            column=test.column,
            statistic=statistic,
            value=float(value),
            expected=null.center,
            threshold=threshold,
            effect=float(value) - null.center,
            breached=bool(value >= threshold),
        )

    def _fit_strata(self) -> dict[str, int]:
        column = self._policy.stratify_by
        if column is None:
            return {}
        counts = self._frame[column].astype("string").value_counts()
        large = [str(value) for value, count in counts.items() if count >= _FEWEST_IN_STRATUM]
        codes = {value: code for code, value in enumerate(sorted(large))}
        # Small strata that the reference knows share one place; unknown ones have none.
        codes |= {str(value): len(large) for value in counts.index if str(value) not in codes}
        return codes

    def _strata_of(self, frame: pd.DataFrame) -> np.ndarray:
        if self._policy.stratify_by is None:
            return np.zeros(len(frame), dtype=np.int64)
        values = frame[self._policy.stratify_by].astype("string")
        return values.map(self._strata).fillna(-1).to_numpy(dtype=np.int64)


def severity_of(finding: Finding) -> float:
    """How far beyond its threshold a finding is, in widths of what is ordinary; negative below it."""
    if finding.value is None or finding.threshold is None or finding.expected is None:
        return -np.inf
    return (finding.value - finding.threshold) / max(finding.threshold - finding.expected, 1e-6)


def _rounded(rows: int) -> int:
    """The largest power of the size step that is not above it."""
    return int(_SIZE_STEP ** int(np.log(max(rows, 1)) / np.log(_SIZE_STEP)))
