"""Brings the online store up to an instant from the computed views."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from feast import FeatureStore

from plumbline.features.plan import ServicePlan, resolve
from plumbline.features.store import is_embedded, open_feature_store
from plumbline.features.views import built_views
from plumbline.settings import Settings

_log = logging.getLogger(__name__)
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Materialized:
    """What one materialisation did."""

    start: datetime
    """Rows before it had been brought over earlier."""
    end: datetime
    views: tuple[str, ...]
    seconds: float


def materialize(settings: Settings, as_of: datetime, *, full: bool = False) -> Materialized:
    """Writes each entity's latest row up to `as_of` to the online store.

    It goes on from where the last one ended; when that was later than `as_of` (time travel), or with `full`, it
    starts at the beginning. Readers keep the last good rows until the new ones are committed. It may be killed and
    run again.

    Raises:
        MissingInputError: Nothing has been applied or built.
    """
    built_views(settings)
    store = open_feature_store(settings)
    plan = resolve(settings, store)
    done = materialized_until(store, plan)
    back = done is not None and done > as_of
    if back and not is_embedded(store):
        _forget(store, plan)
    start = _BEGINNING if full or back or done is None else done
    return materialize_between(store, plan, start, as_of)


def materialize_between(store: FeatureStore, plan: ServicePlan, start: datetime, end: datetime) -> Materialized:
    """Writes each entity's latest row in [start, end] to the online store of `store`."""
    began = time.monotonic()
    names = [view.name for view in plan.batch]
    with _quiet():
        store.materialize(start, end, feature_views=names)
    return Materialized(start, end, tuple(names), time.monotonic() - began)


def materialized_until(store: FeatureStore, plan: ServicePlan) -> datetime | None:
    """The instant that every view of the service has been brought up to by its last materialisation.

    None where a view never was.
    """
    ends = [view_materialized_until(store, view.name) for view in plan.batch]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) else None


def view_materialized_until(store: FeatureStore, view: str) -> datetime | None:
    """The instant that the view was brought up to by its last materialisation; None if it never was."""
    intervals = store.registry.get_feature_view(view, store.project).materialization_intervals
    return intervals[-1][1] if intervals else None


def _forget(store: FeatureStore, plan: ServicePlan) -> None:
    """Takes the service's rows off a server before going back in time: Redis keeps an entity's later row otherwise.

    SQLite needs none of it: there the row that is written last wins.
    """
    views = [view.view for view in plan.batch]
    entities = [store.get_entity(view.key) for view in plan.batch]
    online = store.provider.online_store
    online.teardown(store.config, views, entities)
    online.update(store.config, [], views, [], entities, partial=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Feast prints its progress; standard output belongs to results, and a bar per view to nobody."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield
    _log.debug("%s", said.getvalue())
