"""Splits that do not lie: by time, and no near-duplicate of an evaluation row in training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from plumbline.errors import UserError
from plumbline.model.duplicates import near_duplicate_groups

SEEN_BEFORE: Final = "seen_before"
"""Column of the evaluation rows: whether an earlier posting was a near-duplicate."""


@dataclass(frozen=True)
class Split:
    """Three parts of the labelled postings, in the order of time."""

    train: pd.DataFrame
    calibration: pd.DataFrame
    evaluation: pd.DataFrame
    """With the column `seen_before`."""

    report: dict[str, Any]
    """JSON-able: rows and times of each part, near-duplicate groups, rows removed."""


def split_postings(
    frame: pd.DataFrame,
    *,
    as_of: datetime,
    eval_days: int,
    seed: int,
    calibration_days: int = 14,
    similarity: float = 0.8,
) -> Split:
    """Splits the labelled postings known at `as_of`.

    The last `eval_days` are for evaluation and left whole, repeats included: serving meets them too. Earlier rows
    that nearly repeat one of them are taken out of training and calibration, so that nothing is learnt by heart;
    `seen_before` tells which evaluation rows had such a repeat. The `calibration_days` before are for calibration.

    Args:
        frame: Postings with labels, feature columns allowed.
        as_of: Instant with its time zone; later postings and labels are left out.
        eval_days: Length of the evaluation part, counted back from the last labelled posting.
        seed: Chooses the hash functions of the near-duplicate search.
        calibration_days: Length of the calibration part.
        similarity: See `near_duplicate_groups`.

    Raises:
        UserError: A part would have no rows.
    """
    instant = pd.Timestamp(as_of)
    known = (frame["event_timestamp"] < instant) & frame["label"].notna()
    if "label_timestamp" in frame.columns:
        known &= frame["label_timestamp"] <= instant
    rows = frame[known].sort_values("event_timestamp", kind="stable").reset_index(drop=True)
    if rows.empty:
        raise UserError(f"No labelled posting is known at {as_of.isoformat()}. Choose a later instant.")
    times = rows["event_timestamp"]
    evaluation_after = times.max() - timedelta(days=eval_days)
    calibration_after = evaluation_after - timedelta(days=calibration_days)
    in_evaluation = (times > evaluation_after).to_numpy()
    in_calibration = ((times > calibration_after) & (times <= evaluation_after)).to_numpy()
    in_train = (times <= calibration_after).to_numpy()

    groups = near_duplicate_groups(
        rows["description"].fillna("").astype(str).tolist(), similarity=similarity, seed=seed
    )
    evaluated = np.zeros(groups.max() + 1, dtype=bool)
    evaluated[groups[in_evaluation]] = True
    repeats = evaluated[groups] & ~in_evaluation
    earlier = np.zeros(groups.max() + 1, dtype=bool)
    earlier[groups[~in_evaluation]] = True
    evaluation = rows[in_evaluation].assign(**{SEEN_BEFORE: earlier[groups[in_evaluation]]}).reset_index(drop=True)
    parts = {
        "train": rows[in_train & ~repeats].reset_index(drop=True),
        "calibration": rows[in_calibration & ~repeats].reset_index(drop=True),
        "evaluation": evaluation,
    }
    for name in ("train", "evaluation"):
        if parts[name].empty:
            raise UserError(
                f"The {name} part has no rows: labelled postings go from {times.min()} to {times.max()}. "
                "Choose a later instant, or fewer days (model.eval_days, model.calibration_days)."
            )
    sizes = np.bincount(groups)
    report = {
        "rows": {name: len(part) for name, part in parts.items()},
        "from": {name: _iso(part["event_timestamp"].min()) for name, part in parts.items()},
        "until": {name: _iso(part["event_timestamp"].max()) for name, part in parts.items()},
        "near_duplicates": {
            "similarity": similarity,
            "groups": int((sizes > 1).sum()),
            "rows_in_groups": int(sizes[sizes > 1].sum()),
            "crossing_groups": int((evaluated & earlier).sum()),
            "removed_from_train": int((repeats & in_train).sum()),
            "removed_from_calibration": int((repeats & in_calibration).sum()),
            "evaluation_seen_before": int(evaluation[SEEN_BEFORE].sum()),
        },
    }
    return Split(parts["train"], parts["calibration"], parts["evaluation"], report)


def _iso(instant: Any) -> str | None:
    return None if pd.isna(instant) else str(pd.Timestamp(instant).isoformat())
