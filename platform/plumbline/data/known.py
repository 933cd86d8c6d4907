"""Time travel: what of a stream of postings was known at an instant."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from plumbline.errors import UserError


def known_at(frame: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Postings that had happened before `as_of`, with the labels that had arrived by then.

    Args:
        frame: Postings, `POSTING_COLUMNS` among its columns.
        as_of: Instant with its time zone.

    Returns:
        The rows with `event_timestamp` < `as_of`, in their order and with their index; `label` and
        `label_timestamp` are empty where `label_timestamp` > `as_of`. The given frame is left as it is.

    Raises:
        UserError: `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise UserError(f"as_of ({as_of.isoformat()}) has no time zone. Give one, as in {as_of.isoformat()}+00:00.")
    instant = pd.Timestamp(as_of)
    known = frame.loc[frame["event_timestamp"] < instant].copy()
    unknown = ~(known["label_timestamp"] <= instant)
    known["label"] = known["label"].astype(object).where(~unknown, None)
    known["label_timestamp"] = known["label_timestamp"].where(~unknown, pd.NaT)
    return known
