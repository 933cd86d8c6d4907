"""Which rows of a view the online store is to hold, and how they differ from those that it is known to hold.

A table of known rows has a line per entity: its key, `event_timestamp` (microseconds since 1970, UTC), the view's
features, and `known`. An empty time says that the store holds a row without values: the entity has none. Where
`known` is false the store may hold anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.features.clock import micros
from plumbline.features.plan import BatchViewPlan
from plumbline.features.views import view_file
from plumbline.settings import Settings

TIME = "event_timestamp"
KNOWN = "known"


@dataclass(frozen=True)
class Comparison:
    """What the online store is to hold of a view, beside what it is known to hold."""

    rows: pa.Table
    """Known rows as they are to be; `known` says whether the store holds them already."""

    @property
    def write(self) -> pa.Table:
        """Rows that have to be written: key, `event_timestamp`, features."""
        return self._changed(self.rows[TIME].is_valid())

    @property
    def remove(self) -> list[str]:
        """Keys of entities that must have no row any more."""
        keys: list[str] = self._changed(self.rows[TIME].is_null()).column(0).to_pylist()
        return keys

    @property
    def unchanged(self) -> int:
        """Rows that are as they are to be."""
        rows: int = self.rows.filter(pc.and_(self.rows[KNOWN], self.rows[TIME].is_valid())).num_rows
        return rows

    @property
    def done(self) -> pa.Table:
        """The known rows, once everything is written."""
        known = pa.array([True]).take(pa.array([0] * self.rows.num_rows, pa.int64()))
        return self.rows.set_column(self.rows.column_names.index(KNOWN), KNOWN, known)

    def _changed(self, of_kind: pa.ChunkedArray) -> pa.Table:
        return self.rows.filter(pc.and_(pc.invert(self.rows[KNOWN]), of_kind)).drop_columns([KNOWN])


def wanted_rows(settings: Settings, view: BatchViewPlan, at: datetime) -> pa.Table:
    """The last row of each entity up to and including an instant, whatever its age: readers judge that.

    Returns:
        The view's key, `event_timestamp` (microseconds since 1970, UTC) and every feature of the view.
    """
    columns = ", ".join(_quoted(field.name) for field in view.view.features)
    key = _quoted(view.key)
    # Times are compared as integers, which no session's time zone can shift.
    query = f"""
        SELECT {key}, epoch_us({TIME}) AS {TIME}, {columns} FROM view WHERE epoch_us({TIME}) <= $at
        QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {TIME} DESC) = 1
    """  # noqa: S608 - names come from the registry
    with duckdb.connect(":memory:") as connection:
        connection.read_parquet(str(view_file(settings, view.name))).create_view("view")
        return connection.sql(query, params={"at": micros(at)}).to_arrow_table()


def nothing_known(wanted: pa.Table, keys: Sequence[str] = ()) -> pa.Table:
    """Known rows of a store that may hold anything for the given entities.

    Args:
        wanted: Rows of `wanted_rows`: their columns are taken over.
        keys: The entities that the store holds a row of.
    """
    columns = [pa.array(keys, wanted.schema.field(0).type)]
    columns += [pa.nulls(len(keys), field.type) for field in list(wanted.schema)[1:]]
    return pa.table([*columns, pa.array([False] * len(keys), pa.bool_())], names=[*wanted.column_names, KNOWN])


def compare(wanted: pa.Table, known: pa.Table) -> Comparison:
    """Holds what is to be there against what is known to be there.

    Args:
        wanted: Rows of `wanted_rows`.
        known: Known rows. Other columns or types than those of `wanted` mean that the view was another one: nothing
            of it counts as known but that its entities may have rows.
    """
    names = wanted.column_names
    if not known.drop_columns([KNOWN]).schema.equals(wanted.schema):
        known = nothing_known(wanted, known.column(0).to_pylist())
    key, rest = _quoted(names[0]), [_quoted(name) for name in names[1:]]
    values = ", ".join(f"wanted.{name} AS {name}" for name in rest)
    same = " AND ".join(f"wanted.{name} IS NOT DISTINCT FROM there.{name}" for name in rest)
    # Of an entity that is wanted no more, the right side's time must be empty: `wanted.*` is, in a full join.
    query = f"""
        SELECT coalesce(wanted.{key}, there.{key}) AS {key}, {values}, coalesce(there.{KNOWN}, false) AND {same}
            AS {KNOWN}
        FROM wanted FULL JOIN there ON wanted.{key} = there.{key}
    """  # noqa: S608 - names come from the registry
    with duckdb.connect(":memory:") as connection:
        connection.register("wanted", wanted)
        connection.register("there", known)
        return Comparison(connection.sql(query).to_arrow_table())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
