"""The stores' commands, as the chart renders them, with the programs of Debian's packages."""

from __future__ import annotations

import copy
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from chart_matrix import rendered
from chart_pods import pods
from store_container import Container, folder, free_port

from tests.postgres_server import binaries

INSTALLATION = "backup"


def _spec(component: str, name: str) -> dict[str, Any]:
    found = [
        container
        for pod in pods(rendered(INSTALLATION).objects)
        if pod.component == component
        for container in pod.containers
        if container["name"] == name
    ]
    assert len(found) == 1
    return copy.deepcopy(found[0])


class Database:
    """The chart's Postgres on this machine."""

    def __init__(self, place: Path) -> None:
        self.port = str(free_port())
        self.place = place
        spec = _spec("postgres", "postgres")
        spec["args"].append("-F")  # a test's data need not survive a power cut
        self.container = Container(
            rendered(INSTALLATION),
            spec,
            {"PGDATA": str(place / "pgdata"), "PGPORT": self.port},
            {"/tmp": place},
        )

    def connect(self, database: str = "postgres", password: str = "") -> psycopg.Connection[Any]:
        environment = self.container.environment
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=environment["POSTGRES_USER"],
            password=password or environment["POSTGRES_PASSWORD"],
            dbname=database,
            autocommit=True,
        )

    def tool(self, component: str, name: str, dumps: Path) -> Container:
        """A container with Postgres' client tools."""
        changes = {"PGHOST": "127.0.0.1", "PGPORT": self.port}
        return Container(rendered(INSTALLATION), _spec(component, name), changes, {"/dumps": dumps})


@pytest.fixture
def database() -> Iterator[Database]:
    if binaries() is None:
        pytest.skip("no Postgres server is installed (postgresql)")
    with folder() as place:
        yield Database(place)


def test_postgres_makes_its_data_once_and_asks_for_the_password(database: Database) -> None:
    # What a start that was killed in the middle leaves behind.
    (database.place / "pgdata.new").mkdir()
    (database.place / "pgdata.new" / "PG_VERSION").write_text("15")
    if os.getuid() == 0:
        for path in (database.place / "pgdata.new", database.place / "pgdata.new" / "PG_VERSION"):
            shutil.chown(path, "nobody")

    with database.container.running() as server:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            database.connect(password="wrong")
        open_session = database.connect()
        open_session.execute("CREATE DATABASE kept")
        hook = database.container.pre_stop()
        assert server.wait(timeout=20) == 0
        hook.kill()
        hook.wait()
    with pytest.raises(psycopg.OperationalError):
        open_session.execute("SELECT 1")
    assert not database.container.ask("livenessProbe")
    assert not (database.place / "password").exists()

    with database.container.running(), database.connect("kept") as connection:
        assert connection.execute("SHOW data_directory").fetchone() == (str(database.place / "pgdata"),)


def test_a_dump_is_restored_whole_or_not_at_all(database: Database) -> None:
    with database.container.running(), folder() as dumps:
        with database.connect() as connection:
            for name in ("mlflow", "mlflow_auth", "feast"):
                connection.execute(f"CREATE DATABASE {name}")
        with database.connect("mlflow") as connection:
            connection.execute("CREATE TABLE runs AS SELECT generate_series(1, 1000) AS id")

        dump, restore = (
            database.tool("backup", "dump", dumps),
            database.tool("restore", "restore", dumps),
        )
        done = dump.run()
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in dumps.iterdir()) == ["feast.dump", "mlflow.dump", "mlflow_auth.dump"]

        with database.connect("mlflow") as connection:
            connection.execute("DELETE FROM runs WHERE id > 10")
            connection.execute("CREATE TABLE of_a_newer_version (id int)")
        for _ in range(2):  # a Job may be tried again
            done = restore.run()
            assert done.returncode == 0, done.stderr
            assert _tables(database) == {"runs": 1000}

        with database.connect("mlflow") as connection:
            connection.execute("DELETE FROM runs WHERE id > 10")
        whole = (dumps / "mlflow.dump").read_bytes()
        (dumps / "mlflow.dump").write_bytes(whole[: len(whole) // 2])
        assert restore.run().returncode != 0
        assert _tables(database) == {"runs": 10}


def _tables(database: Database) -> dict[str, int]:
    with database.connect("mlflow") as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        counted = {}
        for (name,) in names:
            row = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # type: ignore[arg-type]
            assert row is not None
            counted[name] = row[0]
    return counted


def test_redis_keeps_what_it_took_and_refuses_more_than_it_may_hold() -> None:
    if shutil.which("valkey-server") is None and shutil.which("redis-server") is None:
        pytest.skip("no Redis server is installed (redis-server)")
    with folder() as place:
        port = free_port()
        container = Container(
            rendered(INSTALLATION),
            _spec("redis", "redis"),
            {"REDIS_PORT": str(port), "REDIS_DATA": str(place), "REDIS_MAXMEMORY": "2mb"},
            {},
        )
        with container.running() as server:
            assert not container.ask("readinessProbe", REDISCLI_AUTH="wrong")
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).get("a")
            client = redis.Redis(port=port, password=container.environment["REDIS_PASSWORD"])
            client.set("a", "1")
            with pytest.raises(redis.ResponseError, match="maxmemory"):
                [client.set(f"full-{number}", "x" * 100_000) for number in range(100)]
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == 0
        with container.running():
            assert redis.Redis(port=port, password=container.environment["REDIS_PASSWORD"]).get("a") == b"1"
