"""The registry of scenarios, and their application to a stream."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from plumbline.data.scenarios.base import Mask, Scenario, draws
from plumbline.data.scenarios.mix import LABEL_SHIFT, NEW_BOARD, NOVEL_OCCUPATION
from plumbline.data.scenarios.upstream import SALARY_UNIT_ERROR, SCHEMA_CHANGE, SILENT_NULL
from plumbline.data.scenarios.words import GRADUAL_VOCABULARY_SHIFT, VOCABULARY_SHIFT
from plumbline.errors import UserError

SCENARIOS: dict[str, Scenario] = {
    each.name: each
    for each in (
        VOCABULARY_SHIFT,
        GRADUAL_VOCABULARY_SHIFT,
        LABEL_SHIFT,
        NEW_BOARD,
        NOVEL_OCCUPATION,
        SCHEMA_CHANGE,
        SALARY_UNIT_ERROR,
        SILENT_NULL,
    )
}
DEFAULT_RAMP = timedelta(weeks=6)


def scenario(name: str) -> Scenario:
    """The scenario of this name.

    Raises:
        UserError: There is none; the nearest is named.
    """
    found = SCENARIOS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, SCENARIOS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"There is no scenario {name}.{hint} List them with `plumbline data scenarios`.")
    return found


def apply_scenario(
    frames: Iterable[pd.DataFrame],
    name: str,
    change_point: datetime,
    seed: int,
    *,
    share: float | None = None,
    ramp: timedelta = DEFAULT_RAMP,
) -> Iterator[pd.DataFrame]:
    """Lets a drift set in.

    Which postings are moved, and how, depends on the seed and on the postings alone: any split of the same
    stream into frames gives the same rows.

    Args:
        frames: Frames of postings in the order of time; they are left as they are.
        name: A name of `SCENARIOS`.
        change_point: First instant, with its time zone, at which postings may be moved.
        seed: Of the draws.
        share: Share of the postings to move; None for the scenario's own.
        ramp: From the change point until a gradual scenario reaches its share.

    Yields:
        The frames with the drift, in the contract's form.

    Raises:
        UserError: There is no such scenario, the change point has no time zone, or no posting is as late as it is.
    """
    chosen = scenario(name)
    if change_point.tzinfo is None:
        raise UserError(f"The change point {change_point.isoformat()} has no time zone; give one, as in +00:00.")
    change = chosen.start(seed)
    full = chosen.share if share is None else share
    last: datetime | None = None
    for frame in frames:
        last = frame["event_timestamp"].max()
        moved = _moved(frame, chosen, pd.Timestamp(change_point), full, ramp, seed)
        yield change(frame.copy(), moved)
    if last is not None and last < change_point:
        raise UserError(
            f"The change point {change_point.isoformat()} is after the last posting ({last.isoformat()}): nothing "
            "would change. Give an earlier one."
        )


def _moved(
    frame: pd.DataFrame, chosen: Scenario, change_point: pd.Timestamp, share: float, ramp: timedelta, seed: int
) -> Mask:
    since = (frame["event_timestamp"] - change_point).dt.total_seconds().to_numpy(dtype=np.float64)
    grown = np.ones(len(frame)) if chosen.kind == "sudden" else np.clip(since / ramp.total_seconds(), 0, 1)
    moved: Mask = (since >= 0) & (draws(frame["posting_id"], chosen.name, seed) < share * grown)
    return moved
