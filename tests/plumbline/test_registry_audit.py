"""The audit log: appended whole, read in order, safe after a killed writer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s3_endpoint import running_endpoint, store_in

from plumbline import paths
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store


@pytest.fixture
def two_homes(tmp_path: Path, s3: Callable[[str], dict[str, Any]]) -> tuple[Settings, Settings]:
    """A controller and a person: homes of their own, one bucket."""
    bucket = s3("audit")
    return load_settings(home=tmp_path / "pod", store=bucket), load_settings(home=tmp_path / "person", store=bucket)


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
    with (paths.controller_dir(settings) / "audit.jsonl").open("ab") as file:
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


def test_two_homes_write_one_log_where_there_is_a_bucket(two_homes: tuple[Settings, Settings]) -> None:
    controller, person = (AuditLog(settings) for settings in two_homes)
    controller.append("retrain", subject="m", why="Drift.", who="controller")
    person.append("promote", subject="m/2", why="Better.", numbers={"accuracy": 0.9})
    controller.append("rollback", subject="m/1", why="Worse.", who="controller")
    for log in (controller, person):
        assert [entry.what for entry in log.read()] == ["retrain", "promote", "rollback"]
    assert controller.read(what=frozenset({"promote"}))[0].numbers == {"accuracy": 0.9}
    keys = list(open_store(two_homes[0]).list("audit/"))
    year, month, day = person.read()[0].when[:10].split("-")
    assert len(keys) == 3
    assert all(key.startswith(f"audit/{year}/{month}/{day}/") for key in keys)
    assert not paths.controller_dir(two_homes[1]).exists()


def test_a_bucket_that_is_away_holds_nobody_up_and_gets_the_entry_later(tmp_path: Path) -> None:
    home = tmp_path / "pod"
    with running_endpoint() as url:
        bucket = store_in(url, "audit")
    AuditLog(load_settings(home=home, store=bucket)).append("promote", subject="m/1", why="While it is away.")
    with running_endpoint() as url:
        settings = load_settings(home=home, store=store_in(url, "audit"))
        assert [entry.what for entry in AuditLog(settings).read()] == ["promote"]
        AuditLog(settings).append("rollback", subject="m/1", why="It is back.")
        elsewhere = load_settings(home=tmp_path / "elsewhere", store=settings.store.model_dump())
        assert [entry.what for entry in AuditLog(elsewhere).read()] == ["promote", "rollback"]
        assert (paths.controller_dir(settings) / "audit-unsent.jsonl").read_bytes() == b""
