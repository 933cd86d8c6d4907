"""The audit log: appended whole, read in order, safe after a killed writer."""

from __future__ import annotations

import threading

from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings


def test_entries_come_back_in_order(settings: Settings) -> None:
    log = AuditLog(settings)
    assert log.read() == []
    log.append("promote", subject="m/1", why="First.", numbers={"accuracy": 0.8})
    log.append("rollback", subject="m/1", why="Wrong.", who="controller")
    first, second = log.read()
    assert (first.what, first.numbers, second.who) == ("promote", {"accuracy": 0.8}, "controller")
    assert log.read(what=frozenset({"rollback"})) == [second]


def test_a_torn_line_costs_nobody_else_his_entry(settings: Settings) -> None:
    log = AuditLog(settings)
    log.append("promote", subject="m/1", why="First.")
    with log.path.open("ab") as file:
        file.write(b'{"when": "2026-')
    log.append("rollback", subject="m/1", why="After the crash.")
    assert [entry.what for entry in log.read()] == ["promote", "rollback"]


def test_writers_at_once_do_not_mix_their_lines(settings: Settings) -> None:
    log = AuditLog(settings)
    threads = [
        threading.Thread(target=lambda: [log.append("note", subject="m", why="x" * 5000) for _ in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.read()) == 40
