"""The controller's SQLite file: its tables, what an earlier version's lack, and transactions on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.errors import DependencyError

BUSY_SECONDS = 60.0
"""Longest wait for another writer. Each of them is one of our own processes in a transaction that waits for nothing
else: a delivery of thousands of alerts takes a second of processor time, on a busy machine a few times that."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, labels TEXT NOT NULL,
    annotations TEXT NOT NULL, starts_at TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL,
    received INTEGER NOT NULL, action TEXT NOT NULL, retraining INTEGER, why TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS retrainings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, fingerprint TEXT NOT NULL, reason TEXT NOT NULL,
    snapshot TEXT NOT NULL, as_of TEXT NOT NULL, state TEXT NOT NULL, step TEXT NOT NULL, attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL, started_at TEXT, ended_at TEXT, not_before TEXT,
    gate_verdict TEXT, model_version TEXT, run_id TEXT, error TEXT, log TEXT, result TEXT,
    child_pid INTEGER, child_started REAL, job TEXT, crashes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, happened_at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""

_COUNTS = """
CREATE TABLE action_counts (action TEXT PRIMARY KEY, number INTEGER NOT NULL);
INSERT INTO action_counts SELECT json_extract(detail, '$.action') AS action, COUNT(*) FROM events
    WHERE what = 'alert' AND action IS NOT NULL GROUP BY action;
"""

_ADDED = {
    "retrainings": {"job": "TEXT", "crashes": "INTEGER NOT NULL DEFAULT 0"},
    "alerts": {"why": "TEXT NOT NULL DEFAULT ''"},
}
"""Columns that a database of an earlier version lacks."""


class Database:
    """Hands out connections, each for one transaction or one read. Survives SIGKILL (WAL, synced).

    Args:
        path: The file; it is made, and an earlier version's is brought up to date.

    Raises:
        DependencyError: It cannot be used.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self.reading() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        with self.writing() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            for table, added in _ADDED.items():
                known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
                for name in added.keys() - known:
                    connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {added[name]}")
            if not connection.execute("PRAGMA table_info(action_counts)").fetchall():
                for statement in _COUNTS.split(";"):
                    connection.execute(statement)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: whole, or nothing of it. Others that write wait for its end.

        Raises:
            DependencyError: The file cannot be used, or others write for longer than `BUSY_SECONDS`.
        """
        with self.reading() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            # At once: one that reads before it writes is refused, without any waiting, where another has written.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one read; nobody waits for it.

        Raises:
            DependencyError: The file cannot be used.
        """
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                connection.row_factory = sqlite3.Row
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise DependencyError(
                f"The controller's state {self._path} cannot be used ({error}). Look whether its disk is full and its "
                "folder can be written to, then try again."
            ) from error
