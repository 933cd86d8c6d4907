"""The kinds of online stores that tests run against: each a real one, empty, gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres_server import create_database, running_postgres
from redis_server import RedisServer

KINDS = ("sqlite", "redis", "postgres")


@contextmanager
def running_store(kind: str, folder: Path) -> Iterator[dict[str, Any] | None]:
    """Starts a store; gives Feast's section for it, None for the embedded one."""
    if kind == "sqlite":
        yield None
    elif kind == "redis":
        folder.mkdir(parents=True)
        with RedisServer(folder) as server:
            yield dict(server.online_store)
    else:
        with running_postgres() as server:
            create_database(server, "online")
            yield {
                "type": "postgres",
                "host": server.host,
                "port": server.port,
                "database": "online",
                "user": server.user,
                "password": server.password,
                "sslmode": "disable",
            }
