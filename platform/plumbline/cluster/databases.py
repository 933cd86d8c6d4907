"""Creates the databases of the platform on one Postgres, where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from plumbline.cluster.postgres import connect, maintenance_database, require_server
from plumbline.cluster.waiting import Tell, sentence, wait_until
from plumbline.errors import UserError

Outcome = Literal["created", "there"]


def ensure_databases(names: Sequence[str], *, timeout_seconds: float, tell: Tell) -> dict[str, Outcome]:
    """Waits for the server, then creates what is missing.

    Where the user may not connect to the maintenance database, or may not create, databases that exist are fine.

    Raises:
        SettingsError: No server is named.
        DependencyError: The server does not answer.
        UserError: A database is missing, and the user may not create it.
    """
    server = require_server()
    done: dict[str, Outcome] = {}

    def check() -> str | None:
        import psycopg

        try:
            with connect(maintenance_database()) as connection:
                for name in names:
                    done[name] = _ensure(connection, name)
        except psycopg.OperationalError as error:
            if _all_there(names):
                done.update(dict.fromkeys(names, "there"))
                return None
            return sentence(error)
        return None

    wait_until(f"Postgres at {server}", check, timeout_seconds=timeout_seconds, tell=tell)
    return done


def _ensure(connection: Any, name: str) -> Outcome:
    from psycopg import errors, sql

    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None:
        return "there"
    try:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        return "there"  # another pod made it in this moment
    except errors.InsufficientPrivilege as error:
        raise UserError(
            f"The database {name} is missing, and {connection.info.user} may not create it. "
            f"Create it by hand with that user as its owner, or give the user CREATEDB."
        ) from error
    return "created"


def _all_there(names: Sequence[str]) -> bool:
    import psycopg

    for name in names:
        try:
            with connect(name):
                pass
        except psycopg.OperationalError:
            return False
    return True
