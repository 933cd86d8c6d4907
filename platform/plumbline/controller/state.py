"""What the controller knows, in SQLite: alerts, retrainings, and what happened. Every change is one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from plumbline.alerts.webhook import Alert

State = Literal["queued", "running", "awaiting_approval", "releasing", "promoted", "rejected", "rolled_back", "failed"]
OPEN: tuple[State, ...] = ("queued", "running", "awaiting_approval", "releasing")
FINAL: tuple[State, ...] = ("promoted", "rejected", "rolled_back", "failed")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, labels TEXT NOT NULL,
    annotations TEXT NOT NULL, starts_at TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL,
    received INTEGER NOT NULL, action TEXT NOT NULL, retraining INTEGER
);
CREATE TABLE IF NOT EXISTS retrainings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, fingerprint TEXT NOT NULL, reason TEXT NOT NULL,
    snapshot TEXT NOT NULL, as_of TEXT NOT NULL, state TEXT NOT NULL, step TEXT NOT NULL, attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL, started_at TEXT, ended_at TEXT, not_before TEXT,
    gate_verdict TEXT, model_version TEXT, run_id TEXT, error TEXT, log TEXT, result TEXT,
    child_pid INTEGER, child_started REAL, job TEXT
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, happened_at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Retraining:
    """One answer to an alert.

    Attributes:
        id: Number, from 1.
        model: Registered model that is retrained.
        fingerprint: The alert that asked for it.
        reason: The alert's summary.
        snapshot: Postings to train on.
        as_of: What is known at this instant is trained on, UTC.
        state: Where it stands; those of `FINAL` are final.
        step: What is being done, or was done last.
        attempts: Tries so far.
        created_at: When the alert asked for it.
        started_at: When the last try began.
        ended_at: When it came to its final state.
        not_before: It waits until this instant.
        gate_verdict: `promote` or `reject`, once the gate has decided.
        model_version: The version that came out.
        run_id: MLflow run of the training.
        error: Why the last try failed.
        log: File with what the last try's commands said.
        result: What the pipeline answered.
        child_pid: Process of the try that runs, or ran when the controller was stopped.
        child_started: When that process was started (seconds since 1970): process ids are used again.
        job: Kubernetes Job of the try's latest step.
    """

    id: int
    model: str
    fingerprint: str
    reason: str
    snapshot: str
    as_of: datetime
    state: State
    step: str
    attempts: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    not_before: datetime | None
    gate_verdict: str | None
    model_version: str | None
    run_id: str | None
    error: str | None
    log: str | None
    result: dict[str, Any] | None
    child_pid: int | None
    child_started: float | None
    job: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form, times as ISO 8601 text."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }


_TIMES = frozenset({"as_of", "created_at", "started_at", "ended_at", "not_before"})


class ControllerState:
    """The database. Safe for several threads and for readers in other processes; survives SIGKILL (WAL)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self._transaction() as connection:
            connection.executescript(_SCHEMA)
            columns = {row["name"] for row in connection.execute("PRAGMA table_info(retrainings)")}
            if "job" not in columns:  # a database of an earlier version
                connection.execute("ALTER TABLE retrainings ADD COLUMN job TEXT")

    def retraining(self, number: int) -> Retraining | None:
        """The retraining with this number."""
        found = self._select("WHERE id = ?", number)
        return found[0] if found else None

    def retrainings(self, *, model: str | None = None, states: tuple[State, ...] | None = None) -> list[Retraining]:
        """Retrainings in the order they were asked for."""
        clauses, values = [], []
        if model is not None:
            clauses.append("model = ?")
            values.append(model)
        if states is not None:
            clauses.append(f"state IN ({', '.join('?' for _ in states)})")
            values += states
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        return self._select(f"{where} ORDER BY id", *values)

    def add_retraining(
        self,
        *,
        model: str,
        fingerprint: str,
        reason: str,
        snapshot: str,
        as_of: datetime,
        not_before: datetime | None,
    ) -> int:
        """Queues a retraining; returns its number."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO retrainings (model, fingerprint, reason, snapshot, as_of, state, step, attempts, "
                "created_at, not_before) VALUES (?, ?, ?, ?, ?, 'queued', 'waiting', 0, ?, ?)",
                (
                    model,
                    fingerprint,
                    reason,
                    snapshot,
                    as_of.isoformat(),
                    _now(),
                    None if not_before is None else not_before.isoformat(),
                ),
            )
            number = int(cursor.lastrowid or 0)
            _record(connection, "retraining_queued", f"retraining/{number}", {"model": model, "reason": reason})
        return number

    def update(self, number: int, event: str | None = None, **changes: Any) -> None:
        """Changes fields of a retraining, and records an event in the same transaction."""
        plain = {name: _plain(value) for name, value in changes.items()}
        with self._transaction() as connection:
            if plain:
                assignments = ", ".join(f"{name} = :{name}" for name in plain)
                connection.execute(
                    f"UPDATE retrainings SET {assignments} WHERE id = :number",  # noqa: S608 - names are ours
                    {**plain, "number": number},
                )
            if event is not None:
                _record(connection, event, f"retraining/{number}", plain)

    def next_queued(self, now: datetime) -> Retraining | None:
        """The oldest retraining that may start."""
        for retraining in self.retrainings(states=("queued",)):
            if retraining.not_before is None or retraining.not_before <= now:
                return retraining
        return None

    def save_alert(self, alert: Alert, *, action: str, retraining: int | None) -> None:
        """Remembers an alert and what was done about it."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET "
                "status = excluded.status, annotations = excluded.annotations, starts_at = excluded.starts_at, "
                "last_seen = excluded.last_seen, received = received + 1, action = excluded.action, "
                "retraining = COALESCE(excluded.retraining, retraining)",
                (
                    alert.fingerprint,
                    alert.name,
                    alert.status,
                    json.dumps(alert.labels),
                    json.dumps(alert.annotations, ensure_ascii=False),
                    alert.starts_at.isoformat(),
                    _now(),
                    _now(),
                    action,
                    retraining,
                ),
            )
            detail = {"alertname": alert.name, "status": alert.status, "action": action, "retraining": retraining}
            _record(connection, "alert", alert.fingerprint, detail)

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that was received, the latest first."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT * FROM alerts ORDER BY last_seen DESC").fetchall()
        return [
            {**dict(row), "labels": json.loads(row["labels"]), "annotations": json.loads(row["annotations"])}
            for row in rows
        ]

    def events(self, *, limit: int = 200) -> list[dict[str, Any]]:
        """What happened last, in the order it happened."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT * FROM events ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [{**dict(row), "detail": json.loads(row["detail"])} for row in reversed(rows)]

    def count_actions(self) -> dict[str, int]:
        """Alerts received so far, by what was done about them."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT json_extract(detail, '$.action') AS action, COUNT(*) AS number FROM events "
                "WHERE what = 'alert' GROUP BY action"
            ).fetchall()
        return {str(row["action"]): int(row["number"]) for row in rows}

    def _select(self, clause: str, *values: Any) -> list[Retraining]:
        with self._transaction() as connection:
            rows = connection.execute(f"SELECT * FROM retrainings {clause}", values).fetchall()  # noqa: S608 - ours
        return [_retraining(row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=10.0)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                yield connection
        finally:
            connection.close()


def _record(connection: sqlite3.Connection, what: str, subject: str, detail: Mapping[str, Any]) -> None:
    connection.execute(
        "INSERT INTO events (happened_at, what, subject, detail) VALUES (?, ?, ?, ?)",
        (_now(), what, subject, json.dumps(detail, ensure_ascii=False, default=str)),
    )


def _retraining(row: sqlite3.Row) -> Retraining:
    values: dict[str, Any] = dict(row)
    for name in _TIMES:
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    values["result"] = None if values["result"] is None else json.loads(values["result"])
    return Retraining(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat()
