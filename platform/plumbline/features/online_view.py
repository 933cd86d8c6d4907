"""Writes of one view to the online store, whatever store it is, and the token that says which record describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.utils import _convert_arrow_to_proto

from plumbline.errors import DependencyError
from plumbline.features.clock import NO_ROW
from plumbline.features.online_keys import stored_keys
from plumbline.features.online_rows import TIME
from plumbline.features.plan import BatchViewPlan

MARK = "\N{WHITE SQUARE} record"
"""Key of the row that holds the token; no posting has it."""

_TOKEN = "plumbline_record"  # noqa: S105 - the name of a column
_BATCH = 5_000
"""Rows per write: of a killed process whole batches remain, and a Redis pipeline stays a few megabytes."""

_Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class OnlineView:
    """The rows of one view in an online store. Each call raises `DependencyError` where the store does not answer."""

    def __init__(self, store: FeatureStore, view: BatchViewPlan) -> None:
        self._store = store
        self._view = view
        self._key_types = {field.name: field.dtype.to_value_type() for field in view.view.entity_columns}

    def write(self, rows: pa.Table) -> None:
        """Writes rows over whatever the store holds of their entities.

        Args:
            rows: Key, `event_timestamp` (microseconds since 1970, UTC), and every feature of the view.
        """
        position = rows.column_names.index(TIME)
        times = rows.column(position).cast(pa.timestamp("us", tz="UTC"))
        for batch in rows.set_column(position, TIME, times).combine_chunks().to_batches(max_chunksize=_BATCH):
            self._put(_convert_arrow_to_proto(batch, self._view.view, self._key_types))

    def remove(self, keys: Sequence[str]) -> None:
        """Lets the entities have no row: readers find them missing."""
        nothing = {field.name: Value() for field in self._view.view.features}
        for start in range(0, len(keys), _BATCH):
            self._put([(self._entity(key), nothing, NO_ROW, None) for key in keys[start : start + _BATCH]])

    def token(self) -> str | None:
        """The token that was set last; None where there is none, because the store is new or has lost its rows."""
        with self._answering():
            [(_, values)] = self._store.provider.online_read(
                self._store.config, self._view.view, [self._entity(MARK)], [_TOKEN]
            )
        return (values[_TOKEN].string_val if values and _TOKEN in values else "") or None

    def set_token(self, token: str) -> None:
        """Says which record describes the rows. An empty one says that none does."""
        self._put([(self._entity(MARK), {_TOKEN: Value(string_val=token)}, NO_ROW, None)])

    def keys(self) -> list[str]:
        """Entities that the store holds a row of, the row of the token left out."""
        with self._answering():
            return [key for key in stored_keys(self._store, self._view) if key != MARK]

    def _entity(self, key: str) -> EntityKey:
        return EntityKey(join_keys=[self._view.key], entity_values=[Value(string_val=key)])

    def _put(self, rows: list[_Row]) -> None:
        with self._answering():
            self._store.provider.online_write_batch(self._store.config, self._view.view, rows, None)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store's driver has errors of its own
            kind = self._store.config.online_store.type
            raise DependencyError(
                f"The online store ({kind}) did not take the rows of {self._view.name}: {error}. Check that it is "
                "reachable, and run `plumbline features apply` if its tables are missing; then run this again."
            ) from error
