"""Brings the databases of MLflow and of its basic-auth app to the schema of the installed MLflow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from plumbline.cluster.waiting import Tell, sentence, wait_until
from plumbline.errors import DependencyError, SettingsError

BACKEND_VARIABLE = "MLFLOW_BACKEND_STORE_URI"
AUTH_VARIABLE = "MLFLOW_AUTH_CONFIG_PATH"
_LOCK = 0x504C554D
"""Key of the advisory lock that keeps two migrations of one database apart."""


def migrate(backend: str | None, *, timeout_seconds: float, tell: Tell) -> dict[str, str | None]:
    """Creates or upgrades both schemas; may be killed and run again, and run by several pods at once.

    Args:
        backend: SQLAlchemy address of MLflow's database; None takes MLFLOW_BACKEND_STORE_URI, as the server does.
        timeout_seconds: How long to wait for the server.
        tell: Takes progress.

    Returns:
        Revision of each database now; `auth` is None where MLFLOW_AUTH_CONFIG_PATH is not set.

    Raises:
        SettingsError: No address is given.
        DependencyError: The server does not answer, or a migration failed.
    """
    from plumbline.registry.tracking import import_mlflow

    import_mlflow()
    address = backend or os.environ.get(BACKEND_VARIABLE)
    if not address:
        raise SettingsError(f"No database of MLflow is named: set {BACKEND_VARIABLE}, or give --backend-store-uri.")
    revisions: dict[str, str | None] = {
        "mlflow": _migrated("MLflow's database", address, _mlflow, timeout_seconds, tell)
    }
    revisions["auth"] = None
    if os.environ.get(AUTH_VARIABLE):
        from mlflow.server.auth.config import read_auth_config

        auth = read_auth_config().database_uri
        revisions["auth"] = _migrated("the auth app's database", auth, _auth, timeout_seconds, tell)
    return revisions


def _migrated(what: str, address: str, upgrade: Any, timeout_seconds: float, tell: Tell) -> str | None:
    import sqlalchemy
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    engine = sqlalchemy.create_engine(address)

    def check() -> str | None:
        try:
            with engine.connect():
                return None
        except OperationalError as error:
            return sentence(error.orig or error)

    try:
        wait_until(what, check, timeout_seconds=timeout_seconds, tell=tell)
        with _alone(address):
            tell(f"migrating {what}")
            revision: str | None = upgrade(engine)
        tell(f"{what} is at {revision}")
    except SQLAlchemyError as error:
        raise DependencyError(f"Migrating {what} failed: {sentence(error)} Nothing half-done is kept.") from error
    finally:
        engine.dispose()
    return revision


def _mlflow(engine: Any) -> str | None:
    from mlflow.store.db import utils

    database: Any = utils  # MLflow's own functions for this carry no types
    # The first revision supposes the first tables: MLflow makes them from its models on an empty database.
    if database._is_empty_database(engine):
        database._initialize_tables(engine)
    else:
        database._upgrade_db(engine)
    revision: str | None = database._get_schema_version(engine)
    return revision


def _auth(engine: Any) -> str | None:
    from alembic.migration import MigrationContext
    from mlflow.server.auth.db import utils

    utils.migrate_if_needed(engine, "head")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "alembic_version_auth"})
        revision: str | None = context.get_current_revision()
        return revision


@contextlib.contextmanager
def _alone(address: str) -> Iterator[None]:
    """Holds Postgres' advisory lock on the database; it is freed with the connection, however this ends."""
    scheme, _, rest = address.partition("://")
    if not scheme.startswith("postgres"):
        yield  # SQLite: one file, one machine, MLflow's own lock
        return
    import psycopg

    with psycopg.connect(f"postgresql://{rest}", autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield
