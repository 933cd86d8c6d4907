"""Replays the prediction log: the requests that were, when they were, with new request ids."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from plumbline.errors import MissingInputError, UserError
from plumbline.settings import Settings
from serving.load.bodies import encode, join_batch, postings_of
from serving.load.endpoint import classify_path, require_endpoint
from serving.load.run import Judging, result_of
from serving.load.sending import Sending, send_traffic
from serving.load.traffic import Traffic
from serving.prediction_log import read

Missing = Literal["sample", "skip"]
_BATCH_ROW = r"^(?P<request>.+)/(?P<row>\d+)$"
"""Rows of a batch are logged under the request's id, a slash and their number."""
_COLUMNS = ("request_id", "time", "total_ms", "posting_id", "model_name", "sample_rate")


@dataclass(frozen=True)
class Replay:
    """What is replayed.

    Attributes:
        snapshot: Holds the postings.
        since: First instant of the log that counts; None: from its beginning.
        until: First instant that does not; None: to its end.
        speed: 2.0 sends in half the time.
        missing: What stands for a posting that the snapshot lacks: one drawn from it, or nothing.
        model: Asked in place of the model that each logged request asked.
        warm_up: The first so many seconds of the replay are in no figure.
        seed: Of the drawing.
    """

    snapshot: str
    since: datetime | None
    until: datetime | None
    speed: float
    missing: Missing
    model: str | None
    warm_up: float
    seed: int


def run_replay(settings: Settings, replay: Replay, sending: Sending, judging: Judging) -> dict[str, Any]:
    """Replays a stretch of the prediction log.

    Raises:
        UserError: The speed or the warm-up makes no sense.
        MissingInputError: The log holds nothing in that time, or the snapshot none of its postings.
        DependencyError: Nothing answers at the address.
    """
    if replay.speed <= 0 or replay.warm_up < 0:
        raise UserError("Give a speed above 0 and a warm-up of 0 or more.")
    require_endpoint(sending.url)
    log = read(settings, since=replay.since, until=replay.until, columns=_COLUMNS)
    if log.empty:
        raise MissingInputError(
            f"The prediction log holds nothing from {replay.since or 'its start'} to {replay.until or 'its end'}. "
            "Ask `plumbline serve log` what it holds."
        )
    arrivals = arrivals_in(log)
    postings = postings_of(settings, replay.snapshot, since=None)
    traffic, counts = traffic_from(arrivals, postings, replay, default_model=settings.tracking.model_name)
    if replay.warm_up >= traffic.due[-1] and len(traffic) > 1:
        raise UserError(f"The replay lasts {traffic.due[-1]:.1f} s: give a shorter --warm-up.")
    sent = send_traffic(traffic, sending, warm_up=int(np.searchsorted(traffic.due, replay.warm_up)))
    seconds = max(float(traffic.due[-1]) - replay.warm_up, 1e-9)
    described = {
        "replayed": {
            "since": arrivals["arrived"].iloc[0].isoformat(),
            "until": arrivals["arrived"].iloc[-1].isoformat(),
            "speed": replay.speed,
            **counts,
        },
        "target_rate": round(len(traffic) / max(float(traffic.due[-1]), 1e-9), 3),
        "duration_seconds": round(seconds, 3),
    }
    return result_of(settings, traffic, sent, sending, judging, described, replay.warm_up, seconds)


def arrivals_in(log: pd.DataFrame) -> pd.DataFrame:
    """What clients asked for, a row per posting, in the order of arrival.

    Args:
        log: Records of requests that were answered to a client; not empty.

    Returns:
        Columns `arrived` (UTC), `request` (id), `batch` (whether it came over the batch route), `row`, `posting_id`,
        `model_name`, `sample_rate`.
    """
    # The log has when a request was answered; it had arrived so much earlier.
    arrived = log["time"] - pd.to_timedelta(log["total_ms"].fillna(0.0), unit="ms")
    rows = log["request_id"].str.extract(_BATCH_ROW)
    found = pd.DataFrame(
        {
            "request": rows["request"].fillna(log["request_id"]),
            "batch": rows["request"].notna(),
            "row": rows["row"].fillna("0").astype(int),
            "posting_id": log["posting_id"],
            "model_name": log["model_name"],
            "sample_rate": log["sample_rate"].astype(float).fillna(1.0),
        }
    )
    # A batch arrived as one request.
    found["arrived"] = arrived.groupby(found["request"]).transform("min")
    return found.sort_values(["arrived", "request", "row"], kind="stable", ignore_index=True)


def traffic_from(
    arrivals: pd.DataFrame, postings: pd.DataFrame, replay: Replay, *, default_model: str
) -> tuple[Traffic, dict[str, Any]]:
    """The traffic that stands for logged arrivals, and counts of what was found.

    Args:
        arrivals: As `arrivals_in` gives them.
        postings: To find the logged ones in, and to draw stand-ins from.
        replay: What is replayed.
        default_model: The model that is asked over the route without a name.

    Raises:
        MissingInputError: The snapshot holds none of the postings, and they are to be skipped.
    """
    wanted = postings[postings["posting_id"].isin(arrivals["posting_id"])].drop_duplicates("posting_id")
    body_of = dict(zip(wanted["posting_id"], encode(wanted) if len(wanted) else [], strict=True))
    missing = ~arrivals["posting_id"].isin(list(body_of))
    if replay.missing == "sample":
        drawn = np.random.default_rng(replay.seed).integers(0, len(postings), int(missing.sum()))
        stand_ins = iter(encode(postings.iloc[drawn]) if len(drawn) else [])
    else:
        stand_ins = iter(())
        arrivals = arrivals[~missing]
    if arrivals.empty:
        raise MissingInputError(
            f"Snapshot {replay.snapshot} holds none of the logged postings. Name the one that they came from, "
            "or send others with --missing sample."
        )
    start = arrivals["arrived"].iloc[0]
    due, bodies, paths, sizes = [], [], [], []
    for _, group in itertools.groupby(arrivals.itertuples(index=False), key=lambda row: row.request):
        rows = list(group)
        first = rows[0]
        singles = [body_of.get(row.posting_id) or next(stand_ins) for row in rows]
        own = None if first.model_name == default_model else str(first.model_name)
        batch = bool(first.batch)
        due.append((first.arrived - start).total_seconds() / replay.speed)
        bodies.append(join_batch(singles) if batch else singles[0])
        paths.append(classify_path(replay.model or own, batch=batch))
        sizes.append(len(singles))
    counts = {
        "requests": len(due),
        "postings": len(arrivals),
        "batches": sum(path.endswith(":batch") for path in paths),
        "postings_missing": int(missing.sum()),
        "missing": replay.missing,
        "log_sampled": bool((arrivals["sample_rate"] < 1).any()),
    }
    numbers = np.arange(len(due))
    run_id = f"replay-{secrets.token_hex(4)}"
    return Traffic(np.array(due), bodies, paths, sizes, numbers, run_id, numbers), counts
