"""Compares the answers of two versions with the labels that have arrived since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from plumbline.registry.releases import Release
from serving.release.evidence import PairedEvidence, TwoSampleEvidence

_BLOCK_ROWS = 50
"""Labelled answers that are weighed together in the two-sample test; it learns the champion's rate from block to
block."""


@dataclass(frozen=True)
class Quality:
    """What labels say of a version beside the champion.

    Attributes:
        test: `paired` (both answered the same postings) or `two-sample` (each answered its own).
        labelled: Labelled answers of the version.
        champion_labelled: Labelled answers of the champion; of pairs, the same number.
        wrong: Wrong answers of the version.
        champion_wrong: Wrong answers of the champion.
        log_evidence_worse: Natural logarithm of the evidence that it is worse by more than the tolerance.
        log_evidence_not_worse: The same, that it is not worse by as much as the tolerance.
        finding: What suffices for a verdict; `undecided` as long as nothing does.
    """

    test: Literal["paired", "two-sample"]
    labelled: int
    champion_labelled: int
    wrong: int
    champion_wrong: int
    log_evidence_worse: float
    log_evidence_not_worse: float
    finding: Literal["worse", "not worse", "undecided"]

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)


def compare(answers: pd.DataFrame, labels: pd.DataFrame, release: Release) -> Quality:
    """Weighs labelled answers in the order in which their labels arrived.

    A shadow's answers are compared with the champion's to the same request, posting by posting: who sent the posting
    is then of no account. A canary's are compared with those that the champion gave to other clients meanwhile; that
    the two groups of clients are alike is what the assignment's salt sees to on average, and the tolerance in this
    one release.

    Both tests may be looked at as often as one likes: they are the e-processes of `serving.release.evidence`, each
    at `quality_alpha`.

    Args:
        answers: Records of the log since the release began: `request_id`, `posting_id`, `label`, `model_version`,
            `role`, in order of time.
        labels: What is known now: `posting_id`, `label`, `label_timestamp`, one row per posting.
        release: Whose version is compared; its limits hold.
    """
    known = labels.dropna(subset=["label"]).rename(columns={"label": "truth"})
    joined = answers.merge(known[["posting_id", "truth", "label_timestamp"]], on="posting_id")
    joined["wrong"] = (joined["label"] != joined["truth"]).astype(float)
    champion = joined[joined["role"] == "champion"]
    mine = joined[joined["model_version"] == release.version]
    if release.shadow:
        return _paired(mine[mine["role"] == "shadow"], champion, release)
    return _two_sample(mine[mine["role"] == "canary"], champion, release)


def _paired(mine: pd.DataFrame, champion: pd.DataFrame, release: Release) -> Quality:
    pairs = _once(mine).merge(champion[["request_id", "wrong"]], on="request_id", suffixes=("", "_champion"))
    pairs = pairs.sort_values(["label_timestamp", "posting_id"], kind="stable")
    tolerance = release.limits.quality_tolerance
    worse, not_worse = PairedEvidence(tolerance), PairedEvidence(-tolerance)
    for difference in (pairs["wrong"] - pairs["wrong_champion"]).to_numpy():
        worse.add(difference)
        not_worse.add(-difference)
    return _quality("paired", pairs["wrong"], pairs["wrong_champion"], worse, not_worse, release)


def _two_sample(mine: pd.DataFrame, champion: pd.DataFrame, release: Release) -> Quality:
    rows = pd.concat([_once(mine), _once(champion)])
    rows = rows.sort_values(["label_timestamp", "posting_id"], kind="stable")
    is_mine, wrong = (rows["role"] == "canary").to_numpy(), rows["wrong"].to_numpy()
    tolerance = release.limits.quality_tolerance
    worse, not_worse = TwoSampleEvidence(tolerance), TwoSampleEvidence(-tolerance)
    start = 0
    for end in range(_BLOCK_ROWS, len(rows) + 1):
        block = is_mine[start:end]
        # Where a block ends depends on who answered, never on who was right.
        if end - start < _BLOCK_ROWS or block.all() or not block.any():
            continue
        ours, theirs = wrong[start:end][block], wrong[start:end][~block]
        worse.add(theirs, ours)
        not_worse.add(ours, theirs)
        start = end
    return _quality("two-sample", wrong[is_mine], wrong[~is_mine], worse, not_worse, release)


def _once(answers: pd.DataFrame) -> pd.DataFrame:
    """The first answer to each posting: a posting that is sent a hundred times has one label."""
    return answers.drop_duplicates("posting_id")


def _quality(
    test: Literal["paired", "two-sample"],
    wrong: Any,
    champion_wrong: Any,
    worse: PairedEvidence | TwoSampleEvidence,
    not_worse: PairedEvidence | TwoSampleEvidence,
    release: Release,
) -> Quality:
    limits = release.limits
    finding: Literal["worse", "not worse", "undecided"] = "undecided"
    if len(wrong) >= limits.min_labels:
        if worse.refutes(limits.quality_alpha):
            finding = "worse"
        elif not_worse.refutes(limits.quality_alpha):
            finding = "not worse"
    return Quality(
        test=test,
        labelled=len(wrong),
        champion_labelled=len(champion_wrong),
        wrong=int(np.sum(wrong)),
        champion_wrong=int(np.sum(champion_wrong)),
        log_evidence_worse=round(worse.log_e, 3),
        log_evidence_not_worse=round(not_worse.log_e, 3),
        finding=finding,
    )
