"""Evidently's page and workspace entry for one window."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pandas as pd

from monitoring.alerting import Evidence
from monitoring.calibration import Rows, equal_mix_weights
from monitoring.detector import Detector, Finding
from monitoring.evidently_adapter import ReportColumns, compare
from monitoring.evidently_workspace import open_workspace
from monitoring.opening import opening_of
from monitoring.shared import keep_last, open_monitoring_store
from monitoring.window import Window
from plumbline.errors import DependencyError, MissingInputError
from plumbline.model.class_names import read_class_names, titled
from plumbline.settings import Settings

if TYPE_CHECKING:
    from monitoring.served import Served

_log = logging.getLogger(__name__)

_ROOT = "reports/"
_SEED = 7
_MOST_CATEGORIES = 30
_OUTCOMES = ("prediction", "label")
_ALWAYS, _NEVER = 0.0, 1.0
"""Limits of Jensen-Shannon distances, which lie between 0 and 0.83."""


@dataclass(frozen=True)
class Page:
    """A written report.

    Attributes:
        address: Where the HTML page lies: a path of this machine, or `s3://...`.
        scores: Drift per column as Evidently measured it.
        run: Address of the run in the Evidently UI that it was posted to, where one is configured.
        path: Path of the run in the UI that serves the workspace.
        problem: Why the run is not among Evidently's pages.
    """

    address: str
    scores: dict[str, Any]
    run: str | None = None
    path: str | None = None
    problem: str | None = None


def write_report(
    settings: Settings,
    detector: Detector,
    window_frame: pd.DataFrame,
    findings: list[Finding],
    window: Window,
    served: Served,
    evidence: Evidence,
) -> Page:
    """Compares samples of both sides by Evidently, and keeps the page and the workspace entry.

    Both sides are drawn at the common mix of strata that the tests use, so that the pages show what the tests
    judged; the stratum column itself is drawn at its true mix. An Evidently UI that is away costs its run only.
    """
    most = settings.monitoring.report_rows
    current, reference = sample_sides(detector, window_frame, most)
    columns = _columns(detector, findings)
    names = read_class_names(served.reference.path)
    for column in _OUTCOMES:
        for side in (current, reference):
            if column in side:
                side[column] = side[column].map(lambda label: titled(str(label), names), na_action="ignore")
    for column in columns.categorical:
        current[column], reference[column] = _fold_rare(current[column], reference[column])
    thresholds = _thresholds(findings, columns)
    name = f"version {served.reference.version}, {window.start.date()} to {window.end.date()}"
    report = compare(
        current,
        reference,
        columns,
        thresholds=thresholds,
        name=name,
        opening=opening_of(
            findings,
            window_frame,
            detector.reference,
            window=window,
            version=served.reference.version,
            evidence=evidence,
        ),
        at=window.end,
        about={
            "model_version": served.reference.version,
            "tests over their limits": str(sum(finding.breached for finding in findings)),
        },
    )
    store = open_monitoring_store(settings)
    about = f"v{served.reference.version}-{window.start:%Y%m%d}-{window.end:%Y%m%d}"
    address = store.put(f"{_ROOT}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{about}.html", report.html())
    keep_last(store, _ROOT, settings.monitoring.reports_kept)
    try:
        added = open_workspace(settings, served.model).add(report, keep=settings.monitoring.reports_kept)
    except DependencyError as error:
        _log.warning("%s", error)
        return Page(_plain(address), report.scores, problem=str(error))
    return Page(_plain(address), report.scores, run=added.url, path=added.path)


def read_page(settings: Settings, address: str | None) -> bytes:
    """A kept page.

    Args:
        settings: Where pages are kept.
        address: `report_html` of a result, or the end of it; None is the newest page.

    Raises:
        MissingInputError: There is no such page, or none at all.
    """
    store = open_monitoring_store(settings)
    wanted = "" if address is None else address.rpartition("/")[2]
    found = [key for key in store.list(_ROOT) if key.endswith(wanted)]
    if not found:
        raise MissingInputError(
            f"There is no page {wanted or 'yet'}. See `report_html` in `plumbline monitor history --json`; old ones go."
        )
    return store.get(found[-1])


def _plain(address: str) -> str:
    """A file by its path, which a shell can open; anything else by its address."""
    parts = urlsplit(address)
    return url2pathname(parts.path) if parts.scheme == "file" else address


def sample_sides(detector: Detector, window_frame: pd.DataFrame, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Samples of the window and of the reference with derived columns, at the common mix, at most `most` rows each."""
    random = np.random.default_rng(_SEED)
    policy = detector.policy
    rows = detector.rows(window_frame)
    weights = equal_mix_weights(rows, detector.reference_rows, policy.max_stratum_weight)
    frames = (
        _with_new_words(detector, detector.derive(window_frame), rows),
        _with_new_words(detector, detector.reference, detector.reference_rows),
    )
    sides = []
    for frame, weight in zip(frames, weights, strict=True):
        total = weight.sum()
        share = weight / total if total > 0 else np.full(len(frame), 1 / len(frame))
        chosen = random.choice(len(frame), size=min(most, len(frame)), replace=True, p=share)
        side = frame.iloc[chosen].reset_index(drop=True)
        if policy.stratify_by is not None:
            true_mix = random.choice(len(frame), size=len(side), replace=len(side) > len(frame))
            side[policy.stratify_by] = frame[policy.stratify_by].to_numpy()[true_mix]
        sides.append(side)
    return sides[0], sides[1]


def _columns(detector: Detector, findings: list[Finding]) -> ReportColumns:
    policy = detector.policy
    known = detector.reference.columns
    outcomes = [name for name in _OUTCOMES if name in known and detector.reference[name].notna().any()]
    confidence = ["probability"] if "prediction" in outcomes else []
    return ReportColumns(
        categorical=(*policy.columns.categorical, *outcomes),
        numeric=(*policy.columns.numeric, *(f"{text}_new_words" for text in policy.columns.text), *confidence),
        nulls=policy.columns.nulls,
        first=tuple(dict.fromkeys(_shown_as(finding) for finding in findings if finding.breached)),
    )


def _thresholds(findings: list[Finding], columns: ReportColumns) -> dict[str, float]:
    """The learnt limits; columns whose test is of another kind are marked on the page when that test is breached."""
    learnt = {
        finding.column: finding.threshold
        for finding in findings
        if finding.kind == "distribution" and finding.threshold is not None
    }
    breached = {_shown_as(finding) for finding in findings if finding.breached}
    every = (*columns.categorical, *columns.numeric)
    return {column: learnt.get(column, _ALWAYS if column in breached else _NEVER) for column in every}


def _shown_as(finding: Finding) -> str:
    return f"{finding.column}_new_words" if finding.kind == "unseen" else finding.column


def _with_new_words(detector: Detector, frame: pd.DataFrame, rows: Rows) -> pd.DataFrame:
    """Adds the share of each text's words that the reference never had: what Evidently can show of words."""
    shares = {}
    for text in detector.policy.columns.text:
        items = rows.encoded.items[f"unseen:{text}"]
        new = np.asarray(items[:, [-1]].todense()).ravel()
        shares[f"{text}_new_words"] = new / np.maximum(np.asarray(items.sum(axis=1)).ravel(), 1)
    return frame.assign(**shares)


def _fold_rare(current: pd.Series, reference: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Keeps the most frequent values by name: hundreds of bars say nothing and swell the page."""
    counts = current.value_counts().add(reference.value_counts(), fill_value=0).sort_values(ascending=False)
    if len(counts) <= _MOST_CATEGORIES:
        return current, reference
    kept = set(counts.index[: _MOST_CATEGORIES - 1])
    return tuple(side.where(side.isna() | side.isin(kept), "(others)") for side in (current, reference))  # type: ignore[return-value]
