"""A Postgres of its own for a test: on a free port, in a folder of its own, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_USER = "postgres"
"""Who runs it where the tests run as root, which Postgres refuses to be."""


@dataclass(frozen=True)
class Postgres:
    """Where it listens, and its superuser."""

    host: str
    port: int
    user: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """libpq's own variables."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
        }


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`; Debian keeps them off the path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Starts one; skips the test with the reason where none is installed."""
    folder = binaries()
    if folder is None:
        pytest.skip("no Postgres server is installed (postgresql)")
    as_other = os.getuid() == 0
    if as_other and shutil.which("runuser") is None:
        pytest.skip("Postgres refuses to run as root, and there is no runuser")
    prefix = ["runuser", "-u", _USER, "--"] if as_other else []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="plumbline-postgres-") as root:
        if as_other:
            shutil.chown(root, _USER)
        data, secret, log = f"{root}/data", Path(root) / "secret", Path(root) / "log"
        secret.write_text("hush-hush")
        if as_other:
            shutil.chown(secret, _USER)
        subprocess.run(
            [*prefix, str(folder / "initdb"), "-D", data, "-U", "owner", f"--pwfile={secret}", "-A", "scram-sha-256"],
            check=True,
            capture_output=True,
            cwd=root,
        )
        command = [str(folder / "postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", root]
        with log.open("wb") as output:
            server = subprocess.Popen([*prefix, *command, "-F"], stdout=output, stderr=output, cwd=root)
        postgres = Postgres("127.0.0.1", port, "owner", secret.read_text())
        try:
            _wait(postgres, server, log)
            yield postgres
        finally:
            stop = [str(folder / "pg_ctl"), "stop", "-D", data, "-m", "immediate"]
            subprocess.run([*prefix, *stop], check=False, capture_output=True, cwd=root)
            server.wait()


def create_database(postgres: Postgres, name: str) -> None:
    """Makes an empty database."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(_address(postgres), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _address(postgres: Postgres) -> str:
    return (
        f"host={postgres.host} port={postgres.port} user={postgres.user} password={postgres.password} dbname=postgres"
    )


def _wait(postgres: Postgres, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(_address(postgres), connect_timeout=2).close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "Postgres did not start"
            time.sleep(0.1)
        else:
            return
