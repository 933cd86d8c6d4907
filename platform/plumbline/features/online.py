"""Serving's path to features: the latest rows from the online store, under the same rules as in training.

Feast's own `get_online_features` looks the service up in the registry and assembles a response per call, and ignores
the TTL (feast-dev/feast#3440, #6821). The reader resolves the service once and calls the online store's own
`online_read` with it, which every store has (SQLite, Redis, Postgres and the rest), then runs the registry's own
on-demand function. docs/features.md has both costs, measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from plumbline.errors import ContractError, DependencyError
from plumbline.features.clock import NO_ROW
from plumbline.features.memory import RowMemory
from plumbline.features.plan import BatchViewPlan, ServicePlan, resolve
from plumbline.features.store import open_feature_store
from plumbline.settings import Settings

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class FeatureVector:
    """Features of one posting."""

    values: dict[str, float | int | str | None]
    """Every feature of the service, in its order; None where there is none to be had."""

    time: datetime = _NEVER
    """The posting's own, UTC: ages are counted to it."""

    expired: list[str] = field(default_factory=list)
    """Views whose row is older than their TTL at the posting's time: their values are None."""

    missing: list[str] = field(default_factory=list)
    """Views that hold no row of the posting's company or board."""

    later: list[str] = field(default_factory=list)
    """Views whose row is later than the posting: serving it would tell the posting its future. Values are None."""

    row_times: dict[str, datetime] = field(default_factory=dict)
    """Time of each view's row, by view; absent for `missing`."""

    @property
    def age_seconds(self) -> dict[str, float]:
        """Age of each view's row at the posting's time, by view; negative for `later`, absent for `missing`."""
        return {name: (self.time - row_time).total_seconds() for name, row_time in self.row_times.items()}


Row = tuple[datetime, dict[str, float | int | str | None]] | None
"""Time of a view's row and its values by feature; None where the store holds none."""


class EntityRows:
    """The rows of one company, or board, of all the views with this key.

    Args:
        views: The views.
        rows: The row of each.
    """

    __slots__ = ("_end", "_rows", "_start", "_times", "_values")

    def __init__(self, views: Sequence[BatchViewPlan], rows: Sequence[Row]) -> None:
        self._rows = list(zip(views, rows, strict=True))
        self._values: dict[str, float | int | str | None] = {}
        self._times: dict[str, datetime] = {}
        self._start, self._end = _NEVER, _NEVER
        found = [(view, row) for view, row in zip(views, rows, strict=True) if row is not None]
        for view, (row_time, values) in found:
            self._times[view.name] = row_time
            self._values |= values
        if len(found) == len(rows):
            # Postings of this span, which are nearly all, take every row as it is.
            self._start = max(row_time for _, (row_time, _) in found)
            self._end = min(row_time + view.ttl for view, (row_time, _) in found)

    def put_into(self, vector: FeatureVector) -> None:
        """Gives a posting the values that it may see."""
        instant = vector.time
        vector.row_times.update(self._times)
        if self._start <= instant <= self._end:
            vector.values.update(self._values)
            return
        for view, row in self._rows:
            if row is None:
                vector.missing.append(view.name)
                continue
            row_time, values = row
            if row_time > instant:
                vector.later.append(view.name)
            elif instant - row_time > view.ttl:
                vector.expired.append(view.name)
            else:
                vector.values.update(values)


class OnlineFeatureReader:
    """Reads the features of postings. Resolved once; safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        store: FeatureStore | None = None,
        *,
        keep_seconds: float = 0.0,
        keep_entities: int = 100_000,
    ) -> None:
        """Opens the store and resolves the service.

        Args:
            settings: Which store and which service.
            store: An open store to read instead of the installation's.
            keep_seconds: How long a row that was read may serve from memory; 0 asks the store each time. What is
                materialised meanwhile is seen that much later. A row's age and time to live are judged at each
                posting's own time all the same.
            keep_entities: Companies, and boards, whose rows are kept at most: some 2 kB each.

        Raises:
            MissingInputError: The service has not been applied.
            DependencyError: The online store does not answer.
        """
        self._store = store or open_feature_store(settings)
        self._plan = resolve(settings, self._store)
        self._provider = self._store.provider
        self._empty: dict[str, float | int | str | None] = {spec.name: None for spec in self._plan.specs}
        # A store's connection is one per provider, and not every driver lets threads share it.
        self._lock = threading.Lock()
        self._views: dict[str, tuple[BatchViewPlan, ...]] = {
            key: tuple(view for view in self._plan.batch if view.key == key)
            for key in dict.fromkeys(view.key for view in self._plan.batch)
        }
        self._memories = {key: RowMemory[EntityRows](keep_seconds, keep_entities) for key in self._views}
        for view in self._plan.batch:
            self._rows(view, [""])

    @property
    def plan(self) -> ServicePlan:
        """The resolved service."""
        return self._plan

    def read(self, postings: Sequence[Mapping[str, Any]]) -> list[FeatureVector]:
        """Features of each posting as of its own `event_timestamp`.

        Args:
            postings: Fields of the posting contract; absent optional fields count as None.

        Returns:
            One vector per posting, in order.

        Raises:
            ContractError: A posting has no time, or one without a time zone.
            DependencyError: The online store does not answer.
        """
        times = [_time(posting) for posting in postings]
        rows: dict[str, dict[str, EntityRows]] = {}
        for key, views in self._views.items():
            memory = self._memories[key]
            found, absent = memory.find(_keys(postings, key), time.monotonic())
            if absent:
                # Before the read: what is materialised while it runs must not count as seen.
                asked = time.monotonic()
                columns = [self._rows(view, absent) for view in views]
                read = {
                    name: EntityRows(views, of_name)
                    for name, of_name in zip(absent, zip(*columns, strict=True), strict=True)
                }
                memory.keep(read, asked)
                found |= read
            rows[key] = found
        return self._vectors(postings, times, rows)

    def read_kept(self, postings: Sequence[Mapping[str, Any]]) -> list[FeatureVector | None]:
        """What `read` would give, from memory alone; None where the store would have to be asked. Never waits.

        Raises:
            ContractError: A posting has no time, or one without a time zone.
        """
        now = time.monotonic()
        rows: dict[str, dict[str, EntityRows]] = {}
        kept: list[Mapping[str, Any]] = list(postings)
        for key, memory in self._memories.items():
            rows[key], absent = memory.find(_keys(kept, key), now)
            if absent:
                kept = [posting for posting in kept if (posting.get(key) or "") in rows[key]]
        vectors = self._vectors(kept, [_time(posting) for posting in kept], rows)
        if len(kept) == len(postings):
            return list(vectors)
        of_posting = {id(posting): vector for posting, vector in zip(kept, vectors, strict=True)}
        return [of_posting.get(id(posting)) for posting in postings]

    def _vectors(
        self,
        postings: Sequence[Mapping[str, Any]],
        times: list[datetime],
        rows: Mapping[str, Mapping[str, EntityRows]],
    ) -> list[FeatureVector]:
        vectors = [FeatureVector(self._empty.copy(), instant) for instant in times]
        for key in self._views:
            of_key = rows[key]
            for name, vector in zip(_keys(postings, key), vectors, strict=True):
                of_key[name].put_into(vector)
        columns: dict[str, list[Any]] = {
            name: [posting.get(name) for posting in postings] for name in self._plan.inputs
        }
        columns["event_timestamp"] = times
        for wanted in self._plan.on_demand:
            computed = wanted.compute(columns)
            # NaN, which is what differs from itself, is pandas' way to say none.
            stated = ([None if value != value else value for value in computed[name]] for name in wanted.features)  # noqa: PLR0124
            for vector, values in zip(vectors, zip(*stated, strict=True), strict=True):
                vector.values.update(zip(wanted.features, values, strict=True))
        return vectors

    def _rows(self, view: BatchViewPlan, keys: list[str]) -> list[Row]:
        entity_keys = [EntityKey(join_keys=[view.key], entity_values=[Value(string_val=key)]) for key in keys]
        try:
            with self._lock:
                rows = self._provider.online_read(self._store.config, view.view, entity_keys, list(view.features))
        except Exception as error:  # each store's driver has errors of its own
            kind = self._store.config.online_store.type
            raise DependencyError(
                f"The online store ({kind}) could not be read for {view.name}: {error}. "
                "Check that it is reachable, and run `plumbline features apply` if its tables are missing."
            ) from error
        return [_plain(view, row_time, values) for row_time, values in rows]


def _keys(postings: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return [posting.get(key) or "" for posting in postings]


def _plain(view: BatchViewPlan, row_time: datetime | None, values: dict[str, Value] | None) -> Row:
    """Feast's values as Python's, in the view's order of features."""
    if row_time is None or not values or row_time <= NO_ROW:
        return None
    plain = {}
    for name in view.features:
        value = values.get(name)
        kind = value.WhichOneof("val") if value is not None else None
        plain[name] = getattr(value, kind) if kind else None
    return row_time, plain


def _time(posting: Mapping[str, Any]) -> datetime:
    instant = posting.get("event_timestamp")
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise ContractError(f"event_timestamp must be a time with its time zone, not {instant!r}.")
    return instant.astimezone(UTC)
