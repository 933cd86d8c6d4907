"""Which entities an online store holds rows of: asked where nothing is known of it, and by the parity gate.

Feast has no call for it. The stores' own layouts are those of Feast 0.67; tests hold them against real servers.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from feast import FeatureStore
from feast.infra.key_encoding_utils import (
    deserialize_entity_key,
    serialize_entity_key,
    serialize_entity_key_prefix,
)
from feast.infra.online_stores.helpers import compute_table_id

from plumbline.features.plan import BatchViewPlan

_SCAN = 5_000
"""Keys that Redis is asked for at a time."""


def stored_keys(store: FeatureStore, view: BatchViewPlan) -> list[str]:
    """Keys of the entities that the online store holds a row of the view for, in no order.

    Returns:
        None of them where the store is of another kind than SQLite, Postgres or Redis: it cannot be asked.
    """
    kind = store.config.online_store.type
    if kind == "sqlite":
        return _decoded(_of_sqlite(store, view))
    if kind == "postgres":
        return _decoded(_of_postgres(store, view))
    if kind == "redis":
        return list(_of_redis(store, view))
    return []


def _of_sqlite(store: FeatureStore, view: BatchViewPlan) -> Iterable[bytes]:
    table = compute_table_id(store.project, view.view).replace('"', '""')
    with contextlib.closing(sqlite3.connect(store.config.online_store.path)) as connection:
        return [row[0] for row in connection.execute(f'SELECT DISTINCT entity_key FROM "{table}"')]  # noqa: S608


def _of_postgres(store: FeatureStore, view: BatchViewPlan) -> Iterable[bytes]:
    from psycopg import sql

    online: Any = store.provider.online_store
    query = sql.SQL("SELECT DISTINCT entity_key FROM {}").format(
        sql.Identifier(compute_table_id(store.project, view.view))
    )
    with online._get_conn(store.config, autocommit=True) as connection:
        return [bytes(row[0]) for row in connection.execute(query)]


def _of_redis(store: FeatureStore, view: BatchViewPlan) -> Iterator[str]:
    """A hash per entity holds the rows of all views; a key ends with the project's name, and so may another's."""
    online: Any = store.provider.online_store
    client = online._get_client(store.config.online_store)
    project = store.project.encode()
    pattern = serialize_entity_key_prefix([view.key]) + b"*" + project
    found: list[bytes] = []
    for key in client.scan_iter(_escaped(pattern), count=_SCAN):
        found.append(key)
        if len(found) == _SCAN:
            yield from _with_rows(client, found, view, project)
            found.clear()
    yield from _with_rows(client, found, view, project)


def _escaped(pattern: bytes) -> bytes:
    """The key's binary beginning holds no `*`; what else means something to Redis is taken as it is."""
    return b"".join(b"\\" + bytes([each]) if each in b"?[]\\" else bytes([each]) for each in pattern)


def _with_rows(client: Any, keys: list[bytes], view: BatchViewPlan, project: bytes) -> Iterator[str]:
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hexists(key, f"_ts:{view.name}")
        there = pipe.execute()
    for key, has_row in zip(keys, there, strict=True):
        if not has_row:
            continue
        try:
            entity = deserialize_entity_key(key.removesuffix(project))
        except (ValueError, UnicodeDecodeError):
            continue  # of a project whose name ends as this one's does
        if serialize_entity_key(entity) + project == key:
            yield entity.entity_values[0].string_val


def _decoded(keys: Iterable[bytes]) -> list[str]:
    return [deserialize_entity_key(key).entity_values[0].string_val for key in keys]
