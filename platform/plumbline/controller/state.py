"""What the controller knows, in SQLite: alerts, retrainings, and what happened. Every change is one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline import paths
from plumbline.alerts.reading import UnreadableAlert
from plumbline.alerts.webhook import Alert
from plumbline.controller.database import Database
from plumbline.controller.records import OPEN, Retraining, State
from plumbline.errors import PlumblineError, UserError
from plumbline.settings import Settings

EVENTS_KEPT = 100_000
ALERTS_KEPT = 20_000
"""The newest. What was decided is in the audit log besides, and that loses nothing."""

_TIMES = frozenset({"as_of", "created_at", "started_at", "ended_at", "not_before"})


def open_state(settings: Settings) -> ControllerState:
    """The state of this installation's controller."""
    return ControllerState(paths.controller_dir(settings) / "state.sqlite")


class MovedError(PlumblineError):
    """A retraining is no longer in the state that a change expects: somebody else was first.

    Attributes:
        retraining: As it is now.
    """

    def __init__(self, retraining: Retraining) -> None:
        super().__init__(f"Retraining {retraining.id} is {retraining.state} by now.")
        self.retraining = retraining


class ControllerState:
    """The state. Safe for several threads and for other processes; survives SIGKILL.

    Raises:
        DependencyError: In each call: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def retraining(self, number: int) -> Retraining:
        """The retraining with this number.

        Raises:
            UserError: There is none.
        """
        found = self._select("WHERE id = ?", number)
        if not found:
            raise UserError(
                f"There is no retraining {number}: `plumbline controller status` shows the numbers of those there are."
            )
        return found[0]

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

    def next_queued(self, now: datetime) -> Retraining | None:
        """The oldest retraining that may start."""
        for retraining in self.retrainings(states=("queued",)):
            if retraining.not_before is None or retraining.not_before <= now:
                return retraining
        return None

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that were received, the latest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM alerts ORDER BY last_seen DESC").fetchall()
        return [
            {**dict(row), "labels": json.loads(row["labels"]), "annotations": json.loads(row["annotations"])}
            for row in rows
        ]

    def events(self, *, limit: int = 200) -> list[dict[str, Any]]:
        """What happened last, in the order it happened."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM events ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [{**dict(row), "detail": json.loads(row["detail"])} for row in reversed(rows)]

    def count_actions(self) -> dict[str, int]:
        """Alerts received so far, by what was done about them."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT action, number FROM action_counts").fetchall()
        return {str(row["action"]): int(row["number"]) for row in rows}

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Several changes as one: all of them, or none."""
        with self._database.writing() as connection:
            yield Writer(connection)

    def update(
        self, number: int, event: str | None = None, *, expected: tuple[State, ...] | None = None, **changes: Any
    ) -> Retraining:
        """Changes fields of a retraining, and records an event in the same transaction.

        Args:
            number: The retraining.
            event: What has happened; None records nothing.
            expected: States that it must be in.
            **changes: Fields and their new values.

        Returns:
            The retraining as it is now.

        Raises:
            MovedError: It is in none of the states that were expected; nothing is changed.
        """
        with self.writing() as writer:
            return writer.update(number, event, expected=expected, **changes)

    def _select(self, clause: str, *values: Any) -> list[Retraining]:
        with self._database.reading() as connection:
            return _retrainings(connection, clause, *values)


class Writer:
    """Changes within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._now = datetime.now(UTC).isoformat()

    def retrainings(self, model: str) -> list[Retraining]:
        """The model's retrainings, in the order they were asked for."""
        return _retrainings(self._connection, "WHERE model = ? ORDER BY id", model)

    def under_way(self, model: str) -> Retraining | None:
        """The model's retraining that has not ended."""
        return next((each for each in self.retrainings(model) if each.state in OPEN), None)

    def add_retraining(
        self,
        *,
        model: str,
        fingerprint: str,
        reason: str,
        snapshot: str,
        as_of: datetime,
        not_before: datetime | None,
    ) -> Retraining:
        """Queues a retraining."""
        cursor = self._connection.execute(
            "INSERT INTO retrainings (model, fingerprint, reason, snapshot, as_of, state, step, attempts, created_at, "
            "not_before) VALUES (?, ?, ?, ?, ?, 'queued', 'waiting', 0, ?, ?)",
            (model, fingerprint, reason, snapshot, as_of.isoformat(), self._now, _plain(not_before)),
        )
        number = int(cursor.lastrowid or 0)
        self.record("retraining_queued", f"retraining/{number}", {"model": model, "reason": reason})
        return _retrainings(self._connection, "WHERE id = ?", number)[0]

    def update(
        self, number: int, event: str | None = None, *, expected: tuple[State, ...] | None = None, **changes: Any
    ) -> Retraining:
        """See `ControllerState.update`."""
        (before,) = _retrainings(self._connection, "WHERE id = ?", number)
        if expected is not None and before.state not in expected:
            raise MovedError(before)
        plain = {name: _plain(value) for name, value in changes.items()}
        if plain:
            assignments = ", ".join(f"{name} = :{name}" for name in plain)
            self._connection.execute(
                f"UPDATE retrainings SET {assignments} WHERE id = :number",  # noqa: S608 - names are ours
                {**plain, "number": number},
            )
        if event is not None:
            self.record(event, f"retraining/{number}", plain)
        return _retrainings(self._connection, "WHERE id = ?", number)[0]

    def save_alert(
        self, alert: Alert | UnreadableAlert, *, action: str, retraining: int | None = None, why: str = ""
    ) -> None:
        """Remembers an alert and what was done about it."""
        self._connection.execute(
            "INSERT INTO alerts (fingerprint, name, status, labels, annotations, starts_at, first_seen, last_seen, "
            "received, action, retraining, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) "
            "ON CONFLICT (fingerprint) DO UPDATE SET "
            "status = excluded.status, annotations = excluded.annotations, starts_at = excluded.starts_at, "
            "last_seen = excluded.last_seen, received = received + 1, action = excluded.action, why = excluded.why, "
            "retraining = COALESCE(excluded.retraining, retraining)",
            (
                alert.fingerprint,
                alert.name,
                alert.status,
                json.dumps(alert.labels, ensure_ascii=False),
                json.dumps(alert.annotations, ensure_ascii=False),
                alert.starts_at.isoformat(),
                self._now,
                self._now,
                action,
                retraining,
                why,
            ),
        )
        self._connection.execute(
            "INSERT INTO action_counts VALUES (?, 1) ON CONFLICT (action) DO UPDATE SET number = number + 1", (action,)
        )
        detail = {"alertname": alert.name, "status": alert.status, "action": action, "retraining": retraining}
        self.record("alert", alert.fingerprint, {**detail, "why": why} if why else detail)

    def forget_the_oldest(self) -> None:
        """Keeps the newest `EVENTS_KEPT` events and `ALERTS_KEPT` alerts: senders decide how many there are."""
        self._connection.execute("DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - ?", (EVENTS_KEPT,))
        self._connection.execute(
            "DELETE FROM alerts WHERE rowid IN (SELECT rowid FROM alerts ORDER BY last_seen DESC LIMIT -1 OFFSET ?)",
            (ALERTS_KEPT,),
        )

    def record(self, what: str, subject: str, detail: Mapping[str, Any]) -> None:
        """Records an event."""
        self._connection.execute(
            "INSERT INTO events (happened_at, what, subject, detail) VALUES (?, ?, ?, ?)",
            (self._now, what, subject, json.dumps(detail, ensure_ascii=False, default=str)),
        )


def _retrainings(connection: sqlite3.Connection, clause: str, *values: Any) -> list[Retraining]:
    rows = connection.execute(f"SELECT * FROM retrainings {clause}", values).fetchall()  # noqa: S608 - ours
    return [_retraining(row) for row in rows]


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
