"""Decides what becomes of a release: goes on, is promoted, is rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd

from plumbline.data.known import known_at
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.registry.releases import Release
from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.prediction_log import read
from serving.release.quality import Quality, compare

Decision = Literal["continue", "promote", "roll back"]
_COLUMNS = ("request_id", "time", "posting_id", "label", "model_version", "role")


@dataclass(frozen=True)
class Verdict:
    """A decision and its grounds.

    Attributes:
        decision: What should become of the release.
        basis: `labels` or `objectives` (errors and latency alone); `waiting` where neither suffices yet.
        why: In a sentence.
        numbers: Behind it.
    """

    decision: Decision
    basis: Literal["labels", "objectives", "waiting"]
    why: str
    numbers: dict[str, Any]


def judge(settings: Settings, release: Release, *, labels_until: datetime, snapshot: str) -> Verdict:
    """Judges a release that goes on, by the log and the labels that have arrived.

    Args:
        settings: Where log and snapshots are.
        release: What is judged; its own limits hold.
        labels_until: Labels that arrive later are not known; has its time zone.
        snapshot: Where labels are looked for.

    Raises:
        MissingInputError: There is no such snapshot (`latest` may be missing: then no label has arrived).
        DependencyError: The object store does not answer.
    """
    answers = read(settings, roles=("champion", "canary", "shadow"), since=release.started_at, columns=_COLUMNS)
    labels = _labels(settings, snapshot, labels_until)
    return decide(release, answers, labels, now=datetime.now(UTC))


def decide(release: Release, answers: pd.DataFrame, labels: pd.DataFrame, *, now: datetime) -> Verdict:
    """The verdict on these answers and labels; see `compare` for their columns.

    A breach of objectives is not looked for here: replicas see it and end the release themselves, within seconds.
    A release that still goes on has kept them.
    """
    limits = release.limits
    quality = compare(answers, labels, release)
    role = "canary" if release.canary else "shadow"
    requests = int(((answers["role"] == role) & (answers["model_version"] == release.version)).sum())
    age = (now - release.started_at).total_seconds()
    numbers = {"requests": requests, "age_seconds": round(age, 1), "quality": quality.to_json()}
    counts = _counts(quality)
    if quality.finding == "worse":
        why = f"Wrong more often than the champion by over {limits.quality_tolerance:.1%}: {counts}."
        return Verdict("roll back", "labels", why, numbers)
    missing = []
    if requests < limits.min_requests:
        missing.append(f"{requests} of {limits.min_requests} answers")
    if age < limits.min_seconds:
        missing.append(f"{age:.0f} of {limits.min_seconds:.0f} s")
    if missing:
        return Verdict("continue", "waiting", f"Too early: {' and '.join(missing)}.", numbers)
    if quality.finding == "not worse":
        why = f"Not wrong more often than the champion by {limits.quality_tolerance:.1%} or more: {counts}."
        return Verdict("promote", "labels", why, numbers)
    if not release.canary:
        why = f"Labels decide nothing yet ({counts}), and no client has got a shadow's answers. Give it a weight."
        return Verdict("continue", "waiting", why, numbers)
    if age < limits.label_wait_seconds:
        why = f"Labels decide nothing yet ({counts}); they are waited for {limits.label_wait_seconds:.0f} s."
        return Verdict("continue", "waiting", why, numbers)
    why = (
        f"Judged on errors and latency alone, which kept their objectives over {requests} answers in {age:.0f} s; "
        f"labels decide nothing yet ({counts})."
    )
    return Verdict("promote", "objectives", why, numbers)


def _counts(quality: Quality) -> str:
    return (
        f"{quality.wrong} of {quality.labelled} labelled answers, the champion {quality.champion_wrong} of "
        f"{quality.champion_labelled}, {quality.test}"
    )


def _labels(settings: Settings, snapshot: str, until: datetime) -> pd.DataFrame:
    try:
        postings = SnapshotStore(open_store(settings)).read(snapshot)
    except MissingInputError:
        if snapshot != "latest":
            raise
        return pd.DataFrame({"posting_id": [], "label": [], "label_timestamp": []}, dtype=object)
    return known_at(postings, until)[["posting_id", "label", "label_timestamp"]]
