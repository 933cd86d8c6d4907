"""Reads the prediction log, wherever its parts lie, each request once."""

from __future__ import annotations

import io
import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plumbline.errors import UserError
from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.engine.query import Role
from serving.prediction_log.hours import keys_between
from serving.prediction_log.ledger import LEDGER_SUFFIX, LEFT_OUT_SCHEMA, ledger_table, parse_ledger
from serving.prediction_log.record import LOG_SCHEMA, to_table
from serving.prediction_log.segments import SEGMENT_SUFFIX, parse_lines, spool_dir
from serving.prediction_log.shipping import LEFT_OUT_PREFIX, OBJECT_PREFIX

_ANSWERED: tuple[Role, ...] = ("champion", "canary")
_ROLES: tuple[Role, ...] = (*_ANSWERED, "shadow")
_READERS = 8
_KEYS = ("request_id", "role", "time")
_log = logging.getLogger(__name__)


def read(
    settings: Settings,
    *,
    roles: Collection[Role] = _ANSWERED,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Logged predictions in order of time.

    Each request id is there once, the first record kept, and once more where the shadow's records are asked for.
    Of what is shipped, only the objects of the hours in question are read. A request that a client repeats on the
    two sides of `since` or `until` is there on both.

    Args:
        settings: The spool, and the object store.
        roles: Whose records; the shadow's answers reached nobody, and are left out unless asked for.
        since: Records from this instant on; None: from the first.
        until: Records before this instant; None: to the last.
        columns: Names of `LOG_SCHEMA`; None is all of them. `features` is parsed to dictionaries.

    Raises:
        UserError: A role or a column is unknown, or an instant has no time zone.
        DependencyError: The object store did not answer.
    """
    _check(roles, since, until, columns)
    wanted = list(columns or LOG_SCHEMA.names)
    needed = list(dict.fromkeys([*wanted, *_KEYS]))
    # The spool first: a segment that is shipped while we read is then seen twice, which is undone, not missed.
    tables = [_in_window(table.select(needed), roles, since, until) for table in _spooled(settings)]
    store = open_store(settings)
    keys = keys_between(store, OBJECT_PREFIX, since, until)
    with ThreadPoolExecutor(_READERS) as readers:
        tables += readers.map(lambda key: _in_window(_shipped(store.get(key), needed), roles, since, until), keys)
    schema = pa.schema([LOG_SCHEMA.field(name) for name in needed])
    log: pd.DataFrame = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
    log = log.sort_values("time", kind="stable")
    repeated = pd.DataFrame({"id": log["request_id"], "shadow": log["role"] == "shadow"}).duplicated()
    log = log[~repeated & log["role"].isin(list(roles))].reset_index(drop=True)[wanted]
    if "features" in wanted:
        log["features"] = [orjson.loads(text) for text in log["features"]]
    return log


def read_left_out(settings: Settings, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
    """What is not in the log: one row per reason and period, in `LEFT_OUT_SCHEMA`.

    Args:
        settings: The spool, and the object store.
        since: Periods that end at this instant or later; None: from the first.
        until: Periods that begin before this instant; None: to the last.

    Raises:
        UserError: An instant has no time zone.
        DependencyError: The object store did not answer.
    """
    _check((), since, until, None)
    rows = [row for path in sorted(spool_dir(settings).glob(f"*{LEDGER_SUFFIX}")) for row in _ledger_rows(path)]
    store = open_store(settings)
    tables = [ledger_table(rows)]
    tables += [pq.read_table(io.BytesIO(store.get(key))) for key in keys_between(store, LEFT_OUT_PREFIX, since, None)]
    frame: pd.DataFrame = pa.concat_tables([LEFT_OUT_SCHEMA.empty_table(), *tables]).to_pandas()
    # A ledger that was shipped while we read counts as the store has it.
    frame = frame.drop_duplicates(["ledger", "reason"], keep="last").sort_values("since", kind="stable")
    if since is not None:
        frame = frame[frame["until"] >= since]
    if until is not None:
        frame = frame[frame["since"] < until]
    return frame.reset_index(drop=True)


def _spooled(settings: Settings) -> Iterator[pa.Table]:
    for path in sorted(spool_dir(settings).glob(f"*{SEGMENT_SUFFIX}")):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # shipped since we listed it: it is found in the store
        try:
            table = to_table(list(parse_lines(content.split(b"\n"), path.name)))
        except (pa.ArrowException, ValueError, TypeError):
            _log.exception("%s cannot be understood; it is left out.", path)
            continue
        yield table


def _ledger_rows(path: Path) -> list[dict[str, object]]:
    try:
        return parse_ledger(path.read_bytes(), path.name)
    except FileNotFoundError:
        return []
    except ValueError:
        _log.exception("%s cannot be understood; it is left out.", path)
        return []


def _shipped(content: bytes, columns: Sequence[str]) -> pa.Table:
    """A shipped segment, with null for columns that its release did not have."""
    file = pq.ParquetFile(io.BytesIO(content))
    there = [name for name in columns if name in file.schema_arrow.names]
    schema = pa.schema([LOG_SCHEMA.field(name) for name in columns])
    return pa.concat_tables([schema.empty_table(), file.read(there)], promote_options="default").select(columns)


def _in_window(table: pa.Table, roles: Collection[Role], since: datetime | None, until: datetime | None) -> pa.Table:
    role = pc.fill_null(table["role"], "champion")  # a line from before there were others
    table = table.set_column(table.schema.get_field_index("role"), "role", role)
    # Both roles that answer are kept for now: which of a request's records came first is told from both.
    kept = [name for name in _ROLES if name in roles or (name != "shadow" and {*_ANSWERED} & {*roles})]
    table = table.filter(pc.is_in(table["role"], pa.array(kept, pa.string())))
    if since is not None:
        table = table.filter(pc.greater_equal(table["time"], pa.scalar(since.astimezone(UTC), table["time"].type)))
    if until is not None:
        table = table.filter(pc.less(table["time"], pa.scalar(until.astimezone(UTC), table["time"].type)))
    return table


def _check(
    roles: Collection[str], since: datetime | None, until: datetime | None, columns: Sequence[str] | None
) -> None:
    if unknown := set(roles) - set(_ROLES):
        raise UserError(f"{sorted(unknown)[0]!r} is not a role: give {', '.join(_ROLES)}.")
    if unknown := set(columns or ()) - set(LOG_SCHEMA.names):
        raise UserError(f"The log has no column {sorted(unknown)[0]!r}. It has {', '.join(LOG_SCHEMA.names)}.")
    for instant in (since, until):
        if instant is not None and instant.tzinfo is None:
            raise UserError(f"{instant.isoformat()} has no time zone. Give one, as in 2026-01-05T08:00:00+00:00.")
