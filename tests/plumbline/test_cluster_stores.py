"""Databases, buckets, migrations, backups: against a real Postgres, and an S3 endpoint over HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import psycopg
import pytest
from postgres_server import Postgres, create_database, running_postgres
from s3_endpoint import CREDENTIALS, running_endpoint, store_in

from plumbline.cluster.backup import back_up, restore
from plumbline.cluster.buckets import ensure_buckets
from plumbline.cluster.databases import ensure_databases
from plumbline.cluster.migrate import migrate
from plumbline.cluster.vault import Bucket, Vault
from plumbline.errors import IntegrityError, MissingInputError, UserError
from plumbline.settings.store import StoreSettings
from plumbline.storage.s3 import S3Store

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with running_endpoint() as url:
        yield url


@pytest.fixture
def libpq(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value)
    return postgres


def _url(postgres: Postgres, database: str) -> str:
    return f"postgresql+psycopg://{postgres.user}@{postgres.host}:{postgres.port}/{database}"


def _tell(_: str) -> None:
    return


def test_databases_are_made_once(postgres: Postgres, run_plumbline: Run) -> None:
    for expected in ("created", "there"):
        done = run_plumbline("cluster", "databases", "one", "two-2", "--json", env=postgres.environment)
        assert json.loads(done.stdout) == {"databases": {"one": expected, "two-2": expected}}
    waited = run_plumbline("cluster", "wait", "--for", "postgres", "--json", env=postgres.environment)
    assert waited.returncode == 0


def test_a_user_who_may_not_create_is_fine_where_nothing_is_missing(
    libpq: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_database(libpq, "made-by-hand")
    with psycopg.connect("", dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE ROLE humble LOGIN PASSWORD 'hush-hush'")
        connection.execute("REVOKE CONNECT ON DATABASE postgres FROM public")
    monkeypatch.setenv("PGUSER", "humble")
    # Without access to the maintenance database, then with it.
    assert ensure_databases(["made-by-hand"], timeout_seconds=5, tell=_tell) == {"made-by-hand": "there"}
    monkeypatch.setenv("PGDATABASE", "template1")
    assert ensure_databases(["made-by-hand"], timeout_seconds=5, tell=_tell) == {"made-by-hand": "there"}
    with pytest.raises(UserError, match="humble may not create it"):
        ensure_databases(["missing"], timeout_seconds=5, tell=_tell)


@pytest.mark.parametrize(
    ("service", "variables", "code", "said"),
    [
        ("postgres", {"PGHOST": "127.0.0.1", "PGPORT": "9"}, 4, "in vain"),
        ("postgres", {"PGHOST": ""}, 2, "set PGHOST"),
        ("mlflow", {"PLUMBLINE_TRACKING__URI": "http://127.0.0.1:9"}, 4, "in vain"),
        (
            "objectstore",
            {"PLUMBLINE_STORE__BUCKET": "b", "PLUMBLINE_STORE__ENDPOINT_URL": "http://127.0.0.1:9"},
            4,
            "b:",
        ),
        (
            "redis",
            {"PLUMBLINE_FEATURES__ONLINE_STORE": '{"type": "redis", "connection_string": "127.0.0.1:9,ssl=true"}'},
            4,
            "in vain",
        ),
    ],
)
def test_what_does_not_come_is_told(
    run_plumbline: Run, service: str, variables: dict[str, str], code: int, said: str
) -> None:
    secrets = {"PLUMBLINE_STORE__ACCESS_KEY_ID": "a", "PLUMBLINE_STORE__SECRET_ACCESS_KEY": "b"}
    settings = {"PLUMBLINE_STORE__ATTEMPTS": "1", **secrets, **variables}
    done = run_plumbline("cluster", "wait", "--for", service, "--timeout", "0", env=settings)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_lies_on_the_machine_itself_is_not_waited_for(run_plumbline: Run) -> None:
    services = [word for name in ("redis", "objectstore", "mlflow") for word in ("--for", name)]
    assert run_plumbline("cluster", "wait", *services, "--timeout", "0").returncode == 0


def test_buckets_are_made_once(endpoint: str) -> None:
    settings = StoreSettings(bucket="mine", endpoint_url=endpoint, **CREDENTIALS)  # type: ignore[arg-type]
    for expected in ("created", "there"):
        done = ensure_buckets(settings, ["more", "mine"], timeout_seconds=5, tell=_tell)
        assert done == {"mine": expected, "more": expected}
    S3Store(settings).put("key", b"content")
    with pytest.raises(UserError, match="InvalidBucketName"):
        ensure_buckets(settings, ["x"], timeout_seconds=60, tell=_tell)


def test_migrations_may_be_run_again_and_bring_old_databases_forward(
    libpq: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

    ensure_databases(["fresh", "auth", "old"], timeout_seconds=5, tell=_tell)
    ini = tmp_path / "auth.ini"
    ini.write_text(f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {_url(libpq, 'auth')}\n")
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(ini))
    first = migrate(_url(libpq, "fresh"), timeout_seconds=5, tell=_tell)
    assert migrate(_url(libpq, "fresh"), timeout_seconds=5, tell=_tell) == first
    assert None not in first.values()

    # As an MLflow of years ago left it.
    engine = sqlalchemy.create_engine(_url(libpq, "old"))
    InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(_url(libpq, "old"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "451aebb31d03")
    engine.dispose()
    monkeypatch.delenv("MLFLOW_AUTH_CONFIG_PATH")
    assert migrate(_url(libpq, "old"), timeout_seconds=5, tell=_tell) == {"mlflow": first["mlflow"], "auth": None}


@pytest.fixture
def stores(endpoint: str, request: pytest.FixtureRequest) -> tuple[StoreSettings, StoreSettings]:
    """What is saved, and where to; a bucket of its own for each test."""
    name = request.node.name.replace("_", "-")[:40]
    source = StoreSettings(**{**store_in(endpoint, f"{name}-data"), "prefix": "plumbline"})
    target = StoreSettings(**{**store_in(endpoint, f"{name}-safe"), "prefix": ""})
    return source, target


def _dump(postgres: Postgres, database: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    line = ["pg_dump", "--format=custom", "--no-owner", f"--dbname={database}", f"--file={folder}/{database}.dump"]
    subprocess.run(line, check=True)


def test_a_lost_bucket_and_a_lost_database_come_back(
    libpq: Postgres, stores: tuple[StoreSettings, StoreSettings], tmp_path: Path
) -> None:
    source, target = stores
    store = S3Store(source)
    store.put("snapshots/one", b"first")
    store.put("snapshots/two", b"second")
    store.put("same/as-two", b"second")
    ensure_databases(["saved"], timeout_seconds=5, tell=_tell)
    with psycopg.connect("", dbname="saved", autocommit=True) as connection:
        connection.execute("CREATE TABLE facts AS SELECT 42 AS answer")
    _dump(libpq, "saved", tmp_path / "dumps")

    options = {"place": "safe", "prefixes": ["plumbline"], "dumps": tmp_path / "dumps", "tell": _tell}
    first = back_up(source, target, keep=2, **options)  # type: ignore[arg-type]
    assert (first["databases"], first["objects"], first["objects_copied"]) == (["saved"], 3, 3)
    content = Vault(Bucket(target), "safe").contents()
    assert len(content) == 3  # two objects are equal, and a dump

    client = boto3.client("s3", endpoint_url=source.endpoint_url, region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    for key in ("snapshots/one", "snapshots/two", "same/as-two"):
        client.delete_object(Bucket=source.bucket, Key=f"plumbline/{key}")
    client.delete_bucket(Bucket=source.bucket)
    with psycopg.connect("", dbname="saved", autocommit=True) as connection:
        connection.execute("DROP TABLE facts")

    back = tmp_path / "back"
    done = restore(source, target, place="safe", identity="latest", dumps=back, tell=_tell)
    assert (done["id"], done["objects_written"], done["databases"]) == (first["id"], 3, ["saved"])
    assert store.get("snapshots/two") == b"second"
    subprocess.run(["pg_restore", "--dbname=saved", "--single-transaction", str(back / "saved.dump")], check=True)
    with psycopg.connect("", dbname="saved") as connection:
        assert connection.execute("SELECT answer FROM facts").fetchone() == (42,)
    again = restore(source, target, place="safe", identity=first["id"], dumps=None, tell=_tell)
    assert (again["objects_written"], again["databases"]) == (0, [])


def test_what_has_not_changed_is_not_copied_and_old_backups_go(
    stores: tuple[StoreSettings, StoreSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stores
    store = S3Store(source)
    clock = iter(f"2026010{day}" for day in range(1, 5))
    monkeypatch.setattr("plumbline.cluster.backup.new_id", lambda _: f"{next(clock)}T000000Z")

    def save() -> dict[str, object]:
        return back_up(source, target, place="safe", prefixes=["plumbline"], dumps=None, keep=2, tell=_tell)

    store.put("one", b"first")
    assert save()["objects_copied"] == 1
    store.put("two", b"second")
    assert save()["objects_copied"] == 1
    store.put("one", b"another")
    third = save()
    assert (third["objects"], third["objects_copied"], third["deleted"]) == (2, 1, ["20260101T000000Z"])
    vault = Vault(Bucket(target), "safe")
    assert vault.ids() == ["20260102T000000Z", "20260103T000000Z"]
    assert len(vault.contents()) == 3
    assert save()["deleted"] == ["20260102T000000Z"]
    assert len(vault.contents()) == 2  # the first content of `one` is in no backup any more


def test_a_damaged_or_missing_backup_is_refused(stores: tuple[StoreSettings, StoreSettings], tmp_path: Path) -> None:
    source, target = stores
    S3Store(source).put("one", b"first")

    def save(place: str) -> None:
        back_up(source, target, place=place, prefixes=["plumbline"], dumps=None, keep=2, tell=_tell)

    def bring(identity: str) -> None:
        restore(source, target, place="safe", identity=identity, dumps=None, tell=_tell)

    with pytest.raises(MissingInputError, match="there is none"):
        bring("latest")
    save("safe")
    with pytest.raises(MissingInputError, match="no backup 2020"):
        bring("2020")
    (digest,) = Vault(Bucket(target), "safe").contents()
    S3Store(target).put(f"safe/content/{digest}", b"damaged")
    S3Store(source).put("one", b"changed since")
    with pytest.raises(IntegrityError, match="plumbline/one"):
        bring("latest")
    with pytest.raises(MissingInputError, match=r"no \.dump file"):
        back_up(source, target, place="safe", prefixes=[], dumps=tmp_path, keep=2, tell=_tell)
    with pytest.raises(UserError, match="another prefix"):
        back_up(source, source, place="plumbline/safe", prefixes=["plumbline"], dumps=None, keep=2, tell=_tell)


def test_jobs_leave_their_answer(run_plumbline: Run, tmp_path: Path) -> None:
    def answer(key: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((tmp_path / "home" / "objects" / key).read_text())
        return found

    good = run_plumbline("cluster", "job", "--answer", "jobs/good.json", "--", "data", "scenarios")
    assert good.returncode == 0, good.stderr
    assert (answer("jobs/good.json")["exit_code"], answer("jobs/good.json")["error"]) == (0, None)
    assert answer("jobs/good.json")["answer"] == json.loads(run_plumbline("data", "scenarios", "--json").stdout)
    bad = run_plumbline("cluster", "job", "--answer", "jobs/bad.json", "--", "data", "show", "0123abc")
    assert bad.returncode == 2
    assert (answer("jobs/bad.json")["exit_code"], answer("jobs/bad.json")["answer"]) == (2, None)
    assert str(answer("jobs/bad.json")["error"]) in bad.stderr
