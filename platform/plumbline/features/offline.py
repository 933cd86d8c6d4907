"""Training's path to features: as of each posting's own time, from the computed views."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from feast import FeatureStore

from plumbline.data.known import known_at
from plumbline.errors import ContractError, IntegrityError
from plumbline.features.plan import ServicePlan, resolve
from plumbline.features.store import open_feature_store
from plumbline.features.views import built_views
from plumbline.settings import Settings

_POSITION = "plumbline_row"


def historical_features(settings: Settings, postings: pd.DataFrame) -> pd.DataFrame:
    """Joins to each posting the features that were known at its event time, and not older than their view's TTL.

    Args:
        settings: Which store and which service.
        postings: Columns of the posting contract; any order, any index, duplicates allowed.

    Returns:
        The same rows in the same order with the same index, and a column per feature of the service: float64 with
        NaN for what is missing, or text with None.

    Raises:
        MissingInputError: Nothing has been applied or built.
        ContractError: A column that the features need is not there, or has no time zone.
        IntegrityError: The join lost or invented rows.
    """
    built_views(settings)
    store = open_feature_store(settings)
    return join_features(store, resolve(settings, store), postings)


def training_set(settings: Settings, postings: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Postings and labels as they were known at `as_of`, with the features of each posting's own time.

    Returns:
        The known postings, labelled or not, and a column per feature.
    """
    return historical_features(settings, known_at(postings, as_of))


def join_features(store: FeatureStore, plan: ServicePlan, postings: pd.DataFrame) -> pd.DataFrame:
    """See `historical_features`; for a store and a service that are open already."""
    names = [spec.name for spec in plan.specs]
    if postings.empty:
        return postings.assign(**{spec.name: _typed(pd.Series([], dtype=object), spec.kind) for spec in plan.specs})
    request = _request(plan, postings)
    joined = store.get_historical_features(entity_df=request, features=plan.service).to_df()
    # The join's order is not ours, and one of its engines loses rows: both are put right or refused here.
    joined = joined.set_index(_POSITION).sort_index()
    if not np.array_equal(joined.index.to_numpy(), np.arange(len(postings))):
        raise IntegrityError(
            f"The point-in-time join returned {len(joined):,} rows for {len(postings):,} postings. The training set is "
            "refused; check that the views' files are whole by building them again."
        )
    features = {spec.name: _typed(joined[spec.name], spec.kind).to_numpy() for spec in plan.specs}
    kept = postings.drop(columns=[name for name in names if name in postings.columns])
    return pd.concat([kept, pd.DataFrame(features, index=postings.index)], axis=1)


def _request(plan: ServicePlan, postings: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in plan.inputs if name not in postings.columns]
    if missing:
        raise ContractError(f"Postings lack the columns {', '.join(missing)}, which the features are computed from.")
    times = postings["event_timestamp"]
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise ContractError(f"event_timestamp must be in UTC with its time zone, not {times.dtype}.")
    request = postings[list(plan.inputs)].reset_index(drop=True)
    request["event_timestamp"] = request["event_timestamp"].dt.tz_convert("UTC").dt.as_unit("us")
    for view in plan.batch:
        # '' is the key of "none stated"; a null key would be an unknown to the join, and drop out of row ids.
        request[view.key] = request[view.key].fillna("").astype(object)
    request[_POSITION] = np.arange(len(request))
    return request


def _typed(values: pd.Series, kind: str) -> pd.Series:
    """Numbers as float64 (NaN: missing) and text as objects (None: missing), whatever the engine made of nulls."""
    if kind == "numeric":
        return pd.to_numeric(values).astype("float64")
    return values.astype(object).where(values.notna(), None)
