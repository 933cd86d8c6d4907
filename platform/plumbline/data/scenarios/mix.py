"""Scenarios in which other postings come: another mix of classes, a new board, a new kind of job."""

from __future__ import annotations

import numpy as np
import pandas as pd

from plumbline.data.scenarios.base import Mask, Scenario, draws

_RARER = 0.25
_MORE_OFTEN = 1.75
_NEW_BOARD = "swiftjobs.example"


class _Seen:
    """Labels in the order in which the stream first showed them."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def note(self, labels: pd.Series) -> None:
        for label in labels.dropna().unique():
            if label not in self.labels:
                self.labels.append(str(label))


class _Resampled:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen = _Seen()

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        self._seen.note(frame["label"])
        weight = {label: (_RARER, _MORE_OFTEN)[rank % 2] for rank, label in enumerate(self._seen.labels)}
        expected = np.where(moved, frame["label"].map(weight).fillna(1.0).to_numpy(dtype=np.float64), 1.0)
        copies = np.floor(expected + draws(frame["posting_id"], "copies", self._seed)).astype(int)
        result = frame.loc[frame.index.repeat(copies)]
        again = np.concatenate([np.arange(count) for count in copies]) if len(copies) else np.zeros(0, int)
        identifiers = result["posting_id"].to_numpy(dtype=object)
        return result.assign(
            posting_id=[
                f"{name[:120]}~{nth + 1}" if nth else name for name, nth in zip(identifiers, again, strict=True)
            ]
        ).reset_index(drop=True)


class _OnNewBoard:
    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        part = frame.loc[moved]
        frame.loc[moved, "board"] = _NEW_BOARD
        frame.loc[moved, "title"] = [f"★ {title[:480]} ★ apply in 60 seconds" for title in part["title"]]
        frame.loc[moved, "description"] = [
            f"SwiftJobs · one tap, one job · {text[:99_000].replace(chr(10), ' · ')} · swipe right to apply"
            for text in part["description"]
        ]
        frame.loc[moved, "category"] = "SwiftJobs/All"
        return frame


class _Novel:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen = _Seen()

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        self._seen.note(frame["label"])
        if not self._seen.labels or not moved.any():
            return frame
        part = frame.loc[moved]
        kinds = (draws(part["posting_id"], "kind", self._seed) * len(_NOVEL_JOBS)).astype(int)
        lines = draws(part["posting_id"], "lines", self._seed)
        labels = [self._seen.labels[(kind * 3 + self._seed) % len(self._seen.labels)] for kind in kinds]
        frame.loc[moved, "title"] = [_NOVEL_JOBS[kind][0] for kind in kinds]
        frame.loc[moved, "description"] = [
            _novel_text(_NOVEL_JOBS[kind][1], draw) for kind, draw in zip(kinds, lines, strict=True)
        ]
        known = part["label"].notna().to_numpy()
        frame.loc[moved, "label"] = [label if there else None for label, there in zip(labels, known, strict=True)]
        return frame


_NOVEL_JOBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Prompt Wrangler",
        ("curate prompts for assistants", "grade synthetic answers", "keep a red team diary", "tune guardrails"),
    ),
    (
        "Drone Swarm Marshal",
        ("marshal parcel drones over the district", "swap batteries on rooftops", "clear geofences", "log near misses"),
    ),
    (
        "Heat Pump Whisperer",
        (
            "retrofit heat pumps with neighbours",
            "read brine temperatures",
            "tame noisy compressors",
            "coach households",
        ),
    ),
    (
        "Microgrid Steward",
        ("balance rooftop solar and storage", "trade surplus kilowatts", "keep the block islanded", "patch inverters"),
    ),
)


def _novel_text(lines: tuple[str, ...], draw: float) -> str:
    first = int(draw * len(lines))
    turned = lines[first:] + lines[:first]
    return f"A job that did not exist last year. {'. '.join(turned[:3])}."


LABEL_SHIFT = Scenario(
    name="label_shift",
    description="The mix of classes changes: every other class, in the order in which the stream first showed "
    "them, becomes four times rarer, the others come nearly twice as often.",
    kind="sudden",
    columns=("label",),
    share=1.0,
    start=_Resampled,
)
NEW_BOARD = Scenario(
    name="new_board",
    description=f"A new board, {_NEW_BOARD}, with a style of its own takes a growing share of the postings.",
    kind="gradual",
    columns=("board", "title", "description", "category"),
    share=0.7,
    start=_OnNewBoard,
)
NOVEL_OCCUPATION = Scenario(
    name="novel_occupation",
    description="Kinds of job that nobody had heard of appear, and are coded under the labels that there are.",
    kind="gradual",
    columns=("title", "description", "label"),
    share=0.5,
    start=_Novel,
)
