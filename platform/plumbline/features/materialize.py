"""Brings the online store to what the computed views say at an instant, by writing what differs.

Feast's own materialisation writes the rows of a span of time, and takes the next span to begin where the last one
ended. A posting that arrives late changes rows before that; so does a late label, and a snapshot that lacks what an
earlier one had. Here each entity's row that is to be online is held against the record of what was written last, and
what differs is written, whatever its time: also rows that vanish, and earlier ones when going back in time.

A process may be killed at any step. Before the first row is written, a record is kept in which the rows to come count
as unknown; the token in the online store then names it. Only when all is written does the token name a record in which
they are known. So the token never names a record that says more than is true, and the next run writes again what may
be missing. An entity's row is replaced as a whole: readers find the one before or the one after.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from feast import FeatureStore

from plumbline.errors import DependencyError
from plumbline.features.materialize_lock import only_materialization
from plumbline.features.online_record import OnlineRecord
from plumbline.features.online_rows import Comparison, compare, nothing_known, wanted_rows
from plumbline.features.online_view import OnlineView
from plumbline.features.plan import BatchViewPlan, ServicePlan, resolve
from plumbline.features.store import open_feature_store
from plumbline.features.views import BuiltViews, built_views
from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store

_log = logging.getLogger(__name__)
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""What Feast's registry is told as the start of every materialisation: rows of any time may be written."""


@dataclass(frozen=True)
class ViewChanges:
    """What became of one view's rows."""

    written: int
    removed: int
    unchanged: int


@dataclass(frozen=True)
class Materialized:
    """What one materialisation did."""

    end: datetime
    views: dict[str, ViewChanges]
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Rows `written`, `removed` and `unchanged`, over all views."""
        names = ("written", "removed", "unchanged")
        return {name: sum(getattr(changes, name) for changes in self.views.values()) for name in names}


def materialize(settings: Settings, as_of: datetime, *, full: bool = False) -> Materialized:
    """Lets the online store hold each entity's latest row up to `as_of`, and no other.

    Readers keep the last good rows until the new ones are there. It may be killed and run again; another one at the
    same time waits for the end of this one.

    Args:
        settings: Which store, service and views.
        as_of: The instant that serving is to stand at; it may be earlier than the last one. One that neither the
            clock nor the views have come to is taken back to where they are, and said.
        full: Trust no record: write every row, and take away whatever else the store itself holds.

    Raises:
        MissingInputError: Nothing has been applied or built.
        DependencyError: A store did not answer, or another process wrote to the online store meanwhile.
    """
    began = time.monotonic()
    with only_materialization(settings):
        as_of = _not_beyond(as_of, built_views(settings))
        store = open_feature_store(settings)
        plan = resolve(settings, store)
        objects = open_store(settings)
        done = {view.name: _bring(settings, store, objects, view, as_of, full=full) for view in plan.batch}
        for view in plan.batch:
            store.registry.apply_materialization(view.view, store.project, _BEGINNING, as_of)
    return Materialized(as_of, done, time.monotonic() - began)


def _not_beyond(as_of: datetime, built: BuiltViews) -> datetime:
    """What nobody can know yet is not served: neither the views nor the clock have come there."""
    known = max(built.until, datetime.now(UTC))
    if as_of <= known:
        return as_of
    _log.warning(
        "%s is later than the clock and than the views, which end at %s: the online store is brought up to %s.",
        as_of.isoformat(),
        built.until.isoformat(),
        known.isoformat(timespec="seconds"),
    )
    return known


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


class ScratchRows:
    """The rows of a store that nobody else writes to, brought from instant to instant. Its record is in memory.

    Args:
        settings: Where the views lie.
        store: The store.
        plan: The service, resolved in that store.
    """

    def __init__(self, settings: Settings, store: FeatureStore, plan: ServicePlan) -> None:
        self._settings = settings
        self._views = [(view, OnlineView(store, view)) for view in plan.batch]
        self._known = {view.name: nothing_known(wanted_rows(settings, view, _BEGINNING)) for view in plan.batch}

    def bring(self, at: datetime) -> None:
        """Lets the store hold each entity's latest row up to an instant."""
        for view, online in self._views:
            found = compare(wanted_rows(self._settings, view, at), self._known[view.name])
            _write(online, found)
            self._known[view.name] = found.done


def _bring(
    settings: Settings, store: FeatureStore, objects: ObjectStore, view: BatchViewPlan, as_of: datetime, *, full: bool
) -> ViewChanges:
    online, record = OnlineView(store, view), OnlineRecord(objects, store.project, view.name)
    before = online.token()
    known = record.load(before)
    wanted = wanted_rows(settings, view, as_of)
    if full or known is None:
        keys = set(online.keys()) | set([] if known is None else known.column(0).to_pylist())
        known = nothing_known(wanted, sorted(keys))
    found = compare(wanted, known)
    changes = ViewChanges(found.write.num_rows, len(found.remove), found.unchanged)
    if before is not None and not full and not changes.written and not changes.removed:
        return changes
    begun = record.save(found.rows, before)
    online.set_token(begun)
    _write(online, found)
    ended = record.save(found.done, begun)
    if online.token() != begun:
        online.set_token("")  # neither of the two knows what the store holds now: the next run asks the store itself
        raise DependencyError(
            f"Another process wrote rows of {view.name} to the online store at the same time. Run it again."
        )
    online.set_token(ended)
    record.prune(ended)
    return changes


def _write(online: OnlineView, found: Comparison) -> None:
    online.write(found.write)
    online.remove(found.remove)
