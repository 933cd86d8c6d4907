"""The parity gate: what training computes and what serving would read must be equal, to the last value.

The online side is read through `OnlineFeatureReader`, as serving does, after real materialisations: into a scratch
store of the same kind up to several instants of the past, and from the serving store as it stands.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast import FeatureStore

from plumbline import paths
from plumbline.errors import ContractError, MissingInputError
from plumbline.features.clock import EPOCH
from plumbline.features.leftovers import sweep
from plumbline.features.materialize import ScratchRows, materialized_until
from plumbline.features.materialize_lock import only_materialization
from plumbline.features.offline import join_features
from plumbline.features.online import FeatureVector, OnlineFeatureReader
from plumbline.features.online_view import OnlineView
from plumbline.features.pairs import Sampler
from plumbline.features.parity_report import InstantParity, ParityReport, Tally
from plumbline.features.plan import ServicePlan, resolve
from plumbline.features.rows import last_rows
from plumbline.features.store import is_embedded, open_feature_store, open_scratch_store
from plumbline.features.views import built_views
from plumbline.settings import Settings

__all__ = ["InstantParity", "ParityReport", "as_records", "check_logged", "check_parity"]

_SCRATCH = ".parity-"
_BATCH = 16
"""Postings per online read; serving reads in batches too."""


def check_parity(
    settings: Settings, postings: pd.DataFrame, *, pairs: int | None = None, seed: int = 0
) -> ParityReport:
    """Compares offline and online features of sampled (entity, time) pairs.

    Args:
        settings: Store, service, number of instants, tolerance.
        postings: The posting log that pairs are drawn from.
        pairs: How many; None takes the settings' number.
        seed: Of the draw.

    Raises:
        MissingInputError: Nothing has been applied or built, or there are no postings.
    """
    built = built_views(settings)
    if postings.empty:
        raise MissingInputError(
            "There are no postings to draw pairs from. Run `plumbline data ingest --generate`, or with a file "
            "of your own, first."
        )
    store = open_feature_store(settings)
    plan = resolve(settings, store)
    random = np.random.default_rng(seed)
    tally = Tally(plan, settings.features.parity_relative_tolerance)
    sampler = Sampler(settings, plan, postings)
    serving = materialized_until(store, plan) is not None
    total = pairs or settings.features.parity_pairs
    count = settings.features.parity_instants - serving
    shares = np.diff(np.linspace(0, total, settings.features.parity_instants + 1).round().astype(int)).tolist()
    home = paths.features_dir(settings)
    sweep(home, f"{_SCRATCH}*")
    instants = _instants(settings, postings["event_timestamp"], built.until, count, random)

    with tempfile.TemporaryDirectory(dir=home, prefix=_SCRATCH) as folder:
        scratch = open_scratch_store(settings, Path(folder), f"parity_{uuid.uuid4().hex[:8]}")
        try:
            _copy_definitions(store, scratch)
            reader = OnlineFeatureReader(settings, store=scratch)
            rows = ScratchRows(settings, scratch, reader.plan)
            for at in instants:
                rows.bring(at)
                tally.add("scratch", at, *_both(store, plan, reader, sampler.draw(at, shares.pop(), random)))
        finally:
            _discard(scratch)
    if serving:
        # A materialisation in between would be told as a difference.
        with only_materialization(settings):
            until = materialized_until(store, plan) or built.until
            reader = OnlineFeatureReader(settings, store=store)
            known = replace(sampler, strangers=_strangers(settings, store, plan, until))
            tally.add("serving", until, *_both(store, plan, reader, known.draw(until, shares.pop(), random)))
    return tally.report()


def check_logged(settings: Settings, log: pd.DataFrame, *, known_until: datetime | None = None) -> ParityReport:
    """Compares the features that serving logged with the offline values of the same postings, as of then.

    Args:
        settings: Store, service, tolerance.
        log: One row per prediction: the posting's fields that the service reads, and `features`, the values used, as
            a mapping or its JSON text. Rows whose `role` is `shadow` are left out: they repeat those of an answer.
        known_until: What the online store had been brought up to when the predictions were made; None takes its
            present state. A posting later than it is compared with the rows of then, and their age at its own time.

    Raises:
        MissingInputError: Nothing has been applied, built or materialised.
        ContractError: The log lacks a column, `features` is not a mapping, or the log's policy has masked features.
    """
    built_views(settings)
    store = open_feature_store(settings)
    plan = resolve(settings, store)
    until = known_until or materialized_until(store, plan)
    if until is None:
        raise MissingInputError(
            "The online store was never materialised. Run `plumbline features materialize --as-of latest` first."
        )
    if "features" not in log.columns:
        raise ContractError("The prediction log has no column 'features'; it holds the values that were used.")
    if "role" in log.columns:
        log = log[log["role"] != "shadow"]
    _refuse_masked(log)
    log = log.reset_index(drop=True)
    offline = join_features(store, plan, log)
    _hold_to(settings, store, plan, offline, until)
    vectors = [_logged_vector(plan, features) for features in log["features"]]
    tally = Tally(plan, settings.features.parity_relative_tolerance)
    tally.add("log", until, offline, vectors)
    return tally.report()


def _hold_to(
    settings: Settings, store: FeatureStore, plan: ServicePlan, offline: pd.DataFrame, until: datetime
) -> None:
    """Replaces the batch features of postings later than `until` by those of the rows that were there by then."""
    instant = pd.Timestamp(until)
    later = offline.index[offline["event_timestamp"] > instant]
    if later.empty:
        return
    then = join_features(store, plan, offline.loc[later].assign(event_timestamp=instant.as_unit("us")))
    rows = {key: last_rows(settings, plan, key, until) for key in dict.fromkeys(view.key for view in plan.batch)}
    for view in plan.batch:
        last = offline.loc[later, view.key].map(rows[view.key][view.name])
        fresh = offline.loc[later, "event_timestamp"] - last <= view.ttl
        for name in view.features:
            offline.loc[later, name] = then[name].where(fresh, None)


def _refuse_masked(log: pd.DataFrame) -> None:
    """Values that the log's policy took away or hashed would all count as wrong."""
    if "masked" not in log.columns:
        return
    masked = sorted({name for names in log["masked"] if names is not None for name in names})
    if hidden := [name for name in masked if name.startswith("features")]:
        raise ContractError(
            f"The prediction log's policy masks {', '.join(hidden)}: parity cannot be told from it. "
            "Take them out of serving.log.mask, or check predictions from before they were masked."
        )


def _logged_vector(plan: ServicePlan, features: Any) -> FeatureVector:
    values = json.loads(features) if isinstance(features, str) else features
    if not isinstance(values, Mapping):
        raise ContractError(f"The log's 'features' must be a mapping or its JSON text, not {type(features).__name__}.")
    named = {spec.name: values.get(spec.name) for spec in plan.specs}
    missing = [view.name for view in plan.batch if all(named[name] is None for name in view.features)]
    return FeatureVector(values=named, missing=missing)


def _instants(
    settings: Settings, events: pd.Series, last: datetime, count: int, random: np.random.Generator
) -> list[datetime]:
    """Instants in the later two thirds of the log, where entities have had time to fall silent; seldom on the grid.

    Counted in postings and not in days: a posting with a wrong date, ages before the others, moves none of them.
    """
    shares = np.linspace(0.35, 1.0, count, endpoint=False) + random.uniform(0.0, 0.6 / count, count)
    within = np.sort(events[events <= pd.Timestamp(last)].dt.as_unit("us").astype("int64").to_numpy())
    at = within[(shares * len(within)).astype(int)]
    grid = settings.features.grid_hours * 3_600_000_000
    moved = np.sort(at + random.integers(0, grid, count))
    return [min(EPOCH + timedelta(seconds=int(each) // 1_000_000), last) for each in moved]


def _strangers(settings: Settings, store: FeatureStore, plan: ServicePlan, at: datetime) -> dict[str, list[str]]:
    known = {key: set(last_rows(settings, plan, key, at).index) for key in {view.key for view in plan.batch}}
    found: dict[str, set[str]] = {key: set() for key in known}
    for view in plan.batch:
        found[view.key] |= set(OnlineView(store, view).keys()) - known[view.key]
    return {key: sorted(names) for key, names in found.items()}


def _copy_definitions(source: FeatureStore, target: FeatureStore) -> None:
    target.apply(
        [
            *source.list_entities(),
            *source.list_feature_views(),
            *source.list_on_demand_feature_views(),
            *source.list_feature_services(),
        ]
    )


def _discard(scratch: FeatureStore) -> None:
    """A SQLite file goes with its folder; rows on a server must be taken back."""
    if not is_embedded(scratch):
        scratch.teardown()  # type: ignore[no-untyped-call]


def _both(
    store: FeatureStore, plan: ServicePlan, reader: OnlineFeatureReader, pairs: pd.DataFrame
) -> tuple[pd.DataFrame, list[FeatureVector]]:
    offline = join_features(store, plan, pairs)
    records = as_records(pairs)
    vectors: list[FeatureVector] = []
    for start in range(0, len(records), _BATCH):
        vectors += reader.read(records[start : start + _BATCH])
    return offline, vectors


def as_records(postings: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a request carries them: None for what is not stated."""
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in postings.to_dict("records")
    ]
