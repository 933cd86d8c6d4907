"""One run of the monitors: windows of a snapshot against the reference of a served model version."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from monitoring import alerting, evidence
from monitoring.alerting import Evidence, Subject, runbook_url
from monitoring.calibration_cache import CalibrationCache
from monitoring.columns import WEEK
from monitoring.detector import Detector, Finding
from monitoring.policy import DriftPolicy
from monitoring.report import write_report
from monitoring.results import ResultStore
from monitoring.scoring import FeatureBuild, add_features, predict
from monitoring.served import Served
from monitoring.window import Window
from plumbline.alerts.webhook import Alert
from plumbline.data.known import known_at
from plumbline.settings import Settings

_LOOK_BACK = 4 * WEEK


@dataclass
class WindowResult:
    """What was found in one window.

    Attributes:
        window: The interval.
        rows: Postings in it.
        labelled: How many of them had their label.
        status: `passed`, `alert`, or `failed` where it could not be judged.
        findings: All tests, breached ones first.
        alerts: What is to be sent.
        since: First day of the change, where there is one.
        slices: Where it lies.
        evidently: Drift that Evidently measured, per column.
        report_html: Evidently's page: a path, or its address in the bucket.
        evidently_run: The run in the Evidently UI that it was posted to, where one is configured.
        evidently_path: Its path in the Evidently UI; `plumbline monitor ui` where none is configured.
        evidently_problem: Why the run is not there; the record and the page are whole nevertheless.
        seconds: How long it took.
        reason: Why it could not be judged.
    """

    window: Window
    rows: int
    labelled: int
    status: str
    findings: list[Finding] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    since: datetime | None = None
    slices: list[evidence.Slice] = field(default_factory=list)
    evidently: dict[str, Any] = field(default_factory=dict)
    report_html: str | None = None
    evidently_run: str | None = None
    evidently_path: str | None = None
    evidently_problem: str | None = None
    seconds: float = 0.0
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The record: plain values, times as ISO 8601 text."""
        return {
            "window": {"start": self.window.start.isoformat(), "end": self.window.end.isoformat()},
            "status": self.status,
            "reason": self.reason,
            "alerts": len(self.alerts),
            "alert": self.alerts[0].model_dump(mode="json", by_alias=True) if self.alerts else None,
            "all_alerts": [alert.model_dump(mode="json", by_alias=True) for alert in self.alerts],
            "rows": self.rows,
            "labelled": self.labelled,
            "since": None if self.since is None else self.since.isoformat(),
            "slices": [asdict(each) for each in self.slices],
            "tests": [asdict(finding) for finding in self.findings],
            "evidently": self.evidently,
            "report_html": self.report_html,
            "evidently_run": self.evidently_run,
            "evidently_path": self.evidently_path,
            "evidently_problem": self.evidently_problem,
            "seconds": round(self.seconds, 2),
        }


class Monitor:
    """Judges windows of one snapshot for one model version."""

    def __init__(self, settings: Settings, served: Served, policy: DriftPolicy, *, html: bool = True) -> None:
        """Prepares the reference; calibrations of earlier runs are used again.

        Args:
            settings: Where results and reports lie.
            served: Model version, its reference, and the postings.
            policy: What to watch.
            html: Make Evidently's pages.
        """
        self._settings = settings
        self._served = served
        self._policy = policy
        self._html = html
        self._detector = Detector(served.reference.frame, policy, anchor=served.reference.end)
        self._cache = CalibrationCache(settings, served.reference.version, policy)

    def run(self, windows: list[Window], *, labels_as_of: datetime | None = None) -> list[WindowResult]:
        """Judges the windows, records the results, and writes the reports.

        Args:
            windows: Intervals of event time.
            labels_as_of: Labels that had arrived by then are used; None is each window's own end.
        """
        last = max(window.end for window in windows)
        build = FeatureBuild(self._settings, snapshot=self._served.snapshot_id, until=last)
        for window in windows:
            self._calibrate(window, labels_as_of or window.end)
        build.wait()
        answered = self._answer(windows, last)
        store = ResultStore(self._settings)
        results = []
        for window in windows:
            result = self._judge(window, answered, labels_as_of or window.end)
            store.add(result.to_json(), model=self._served.model, version=self._served.reference.version)
            results.append(result)
        return results

    def _calibrate(self, window: Window, labels_as_of: datetime) -> None:
        postings = self._served.postings
        inside = _with_arrived_labels(postings[window.holds(postings["event_timestamp"])], labels_as_of)
        if len(inside) < self._policy.min_rows:
            return
        size = self._detector.size_of(inside, window.start, window.end)
        known = self._cache.get(size)
        if known is not None:
            self._detector.remember(size, known)
        else:
            self._cache.put(size, self._detector.nulls(size))

    def _answer(self, windows: list[Window], last: datetime) -> pd.DataFrame:
        """Postings since the reference (or shortly before the first window) until the end, with answers."""
        postings = self._served.postings
        first = min(window.start for window in windows)
        begin = max(first - _LOOK_BACK, min(self._served.reference.end, first))
        recent = postings[Window(begin, last).holds(postings["event_timestamp"])].reset_index(drop=True)
        featured = add_features(self._settings, recent)
        labels, probabilities = predict(self._served.reference.path, featured)
        return featured.assign(prediction=labels, probability=probabilities)

    def _judge(self, window: Window, answered: pd.DataFrame, labels_as_of: datetime) -> WindowResult:
        start = time.monotonic()
        recent = _with_arrived_labels(answered[answered["event_timestamp"] < pd.Timestamp(window.end)], labels_as_of)
        inside = window.holds(recent["event_timestamp"]).to_numpy()
        frame = recent[inside].reset_index(drop=True)
        result = WindowResult(window, len(frame), int(frame["label"].notna().sum()), "passed")
        subject = self._subject(window)
        if len(frame) < self._policy.min_rows:
            result.status = "failed"
            result.reason = f"{len(frame)} postings are fewer than the {self._policy.min_rows} that a judgement needs."
            result.alerts = [alerting.failure_of(result.reason, subject)]
            return result
        result.findings = self._detector.judge(frame, window.start, window.end)
        breached = [finding for finding in result.findings if finding.breached]
        if all(finding.value is None for finding in result.findings):
            result.status, result.reason = "failed", "No test could be made: the reference is too small or too short."
            result.alerts = [alerting.failure_of(result.reason, subject)]
            return result
        if breached:
            result.status = "alert"
            result.since, result.slices = self._explain(breached[0], recent.reset_index(drop=True), inside)
        if self._html:
            where = Evidence(result.since, result.slices)
            page = write_report(self._settings, self._detector, frame, result.findings, window, self._served, where)
            result.report_html, result.evidently = page.address, page.scores
            result.evidently_run, result.evidently_path = page.run, page.path
            result.evidently_problem = page.problem
            subject = self._subject(window, report=page.run or page.address)
        result.alerts = alerting.alerts_of(result.findings, subject, Evidence(result.since, result.slices))
        result.seconds = time.monotonic() - start
        return result

    def _explain(
        self, worst: Finding, recent: pd.DataFrame, inside: np.ndarray
    ) -> tuple[datetime, list[evidence.Slice]]:
        test = next(test for test in self._detector.tests if test.name == worst.name)
        rows = self._detector.rows(recent)
        scores = evidence.posting_scores(
            test, rows, inside, self._detector.reference_rows, self._policy.max_stratum_weight
        )
        since = evidence.change_point(recent["event_timestamp"], scores)
        column = self._policy.stratify_by
        return since, evidence.slices(recent[inside].reset_index(drop=True), scores[inside], column)

    def _subject(self, window: Window, *, report: str = "") -> Subject:
        return Subject(
            model=self._served.model,
            version=self._served.reference.version,
            snapshot=self._served.snapshot_id,
            window=window,
            policy=self._policy.name,
            runbook_url=runbook_url(self._settings, self._policy.runbook),
            report=report,
        )


def _with_arrived_labels(postings: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """All the postings, with the labels that had arrived; unlike `known_at` it keeps what is later than `as_of`."""
    later = postings[postings["event_timestamp"] >= pd.Timestamp(as_of)].assign(label=None)
    return pd.concat([known_at(postings, as_of), later]).sort_values("event_timestamp", kind="stable")
