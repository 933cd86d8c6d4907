"""Postgres, addressed as libpq does it: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLMODE."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from plumbline.errors import SettingsError
from plumbline.settings import Settings

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 5
_MAINTENANCE = "postgres"


def maintenance_database() -> str:
    """Database to connect to for making others: PGDATABASE, else `postgres`."""
    return os.environ.get("PGDATABASE") or _MAINTENANCE


def require_server() -> str:
    """Host and port, for messages.

    Raises:
        SettingsError: PGHOST is not set: libpq would look for a local socket, which is never meant here.
    """
    host = os.environ.get("PGHOST")
    if not host:
        raise SettingsError("No Postgres server is named: set PGHOST (and PGPORT, PGUSER, PGPASSWORD, PGSSLMODE).")
    return f"{host}:{os.environ.get('PGPORT') or 5432}"


def connect(database: str) -> AbstractContextManager[psycopg.Connection[Any]]:
    """A connection in autocommit mode (databases cannot be made inside a transaction)."""
    import psycopg

    return psycopg.connect(
        "", dbname=database, connect_timeout=CONNECT_SECONDS, autocommit=True, application_name="plumbline-cluster"
    )


def waiting_address(settings: Settings) -> str:
    """What `cluster wait` connects to: the server of the environment, else the settings' feature registry.

    Returns:
        A libpq connection string; empty where the environment says everything.

    Raises:
        SettingsError: Neither names a server.
    """
    if os.environ.get("PGHOST"):
        return f"dbname={maintenance_database()}"
    registry = settings.features.registry_url
    url = "" if registry is None else registry.get_secret_value()
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise SettingsError("No Postgres server is named: set PGHOST, or PLUMBLINE_FEATURES__REGISTRY_URL.")
    return f"postgresql://{rest}"
