"""The steps that a cluster's jobs run; each may be repeated."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli.output import JsonOption, examples, print_json, print_result, progress_console
from plumbline.errors import UserError
from plumbline.settings import load_settings

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The steps that a cluster's jobs run; each may be repeated."
)

TimeoutOption = Annotated[float, typer.Option(min=0, help="Seconds to wait for the service.")]


class ServiceOption(StrEnum):
    """What can be waited for."""

    postgres = "postgres"
    redis = "redis"
    objectstore = "objectstore"
    mlflow = "mlflow"
    model = "model"


@app.command("wait", epilog=examples("plumbline cluster wait --for mlflow --for redis --timeout 300"))
def wait(
    for_: Annotated[list[ServiceOption], typer.Option("--for", help="Service; repeatable, waited for in order.")],
    timeout: TimeoutOption = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Waits for the services that the settings name; exit code 4 when one does not come in time."""
    import time

    from plumbline.cluster.services import check_of
    from plumbline.cluster.waiting import wait_until

    settings = load_settings()
    deadline = time.monotonic() + timeout
    waited = {}
    for each in for_:
        check = check_of(each.value, settings)
        left = max(0.0, deadline - time.monotonic())
        waited[each.value] = round(wait_until(each.value, check, timeout_seconds=left, tell=_tell), 1)
    print_result({"waited_seconds": waited} if as_json else waited, as_json=as_json, title="Ready after seconds")


@app.command("databases", epilog=examples("plumbline cluster databases mlflow feast"))
def databases(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Databases that must be there.")],
    timeout: TimeoutOption = 180.0,
    as_json: JsonOption = False,
) -> None:
    """Waits for Postgres (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGSSLMODE) and creates databases that are missing."""
    from plumbline.cluster.databases import ensure_databases

    done = ensure_databases(names, timeout_seconds=timeout, tell=_tell)
    print_result({"databases": done} if as_json else done, as_json=as_json, title="Databases")


@app.command("buckets", epilog=examples("plumbline cluster buckets plumbline mlflow"))
def buckets(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Buckets besides the store's.")] = None,
    timeout: TimeoutOption = 180.0,
    as_json: JsonOption = False,
) -> None:
    """Waits for the object store and creates its bucket, and those named, where they are missing."""
    from plumbline.cluster.buckets import ensure_buckets

    done = ensure_buckets(load_settings().store, names or [], timeout_seconds=timeout, tell=_tell)
    print_result({"buckets": done} if as_json else done, as_json=as_json, title="Buckets")


@app.command(
    "migrate",
    epilog=examples("plumbline cluster migrate --backend-store-uri postgresql+psycopg://mlflow@postgres/mlflow"),
)
def migrate(
    backend_store_uri: Annotated[
        str | None, typer.Option(help="MLflow's database; default: MLFLOW_BACKEND_STORE_URI.")
    ] = None,
    timeout: TimeoutOption = 180.0,
    as_json: JsonOption = False,
) -> None:
    """Brings MLflow's database, and its auth app's (MLFLOW_AUTH_CONFIG_PATH), to the installed MLflow's schema."""
    from plumbline.cluster.migrate import migrate as run

    done = run(backend_store_uri, timeout_seconds=timeout, tell=_tell)
    print_result({"revisions": done} if as_json else done, as_json=as_json, title="Schema revisions")


@app.command("bootstrap", epilog=examples("plumbline cluster bootstrap --rows 20000 --weeks 12"))
def bootstrap(
    rows: Annotated[int, typer.Option(min=1, help="Postings to generate, where there is no snapshot.")] = 3000,
    weeks: Annotated[int, typer.Option(min=1, help="Weeks that they are spread over.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the generator.")] = 20210628,
    data: Annotated[str | None, typer.Option(help="File, or s3://bucket/key, instead of generated postings.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file of --data.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Instant that the model knows; default: the snapshot's end.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of the parity gate.")] = 200,
    timeout: TimeoutOption = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Trains and promotes the first model; with a champion it only brings the features up to date."""
    from plumbline.cluster.bootstrap import Source
    from plumbline.cluster.bootstrap import bootstrap as run

    if mapping is not None and data is None:
        raise UserError("--mapping belongs to --data.")
    source = Source(data, mapping, rows, weeks, seed)
    done = run(load_settings(), source, as_of=as_of, pairs=pairs, timeout_seconds=timeout, tell=_tell)
    plain = {name: value for name, value in done.items() if not isinstance(value, dict | list)}
    print_result(done if as_json else plain, as_json=as_json, title="Bootstrap")


@app.command(
    "job", epilog=examples("plumbline cluster job --answer answers/1.json -- pipeline run training --as-of latest")
)
def job(
    arguments: Annotated[list[str], typer.Argument(metavar="-- ARGUMENTS...", help="What follows `plumbline`.")],
    answer: Annotated[str, typer.Option(metavar="KEY", help="Key of the answer in the object store.")],
    as_json: JsonOption = False,
) -> None:
    """Runs a plumbline command and writes what it came to to the object store; its exit code is the command's."""
    from plumbline.cluster.job import run_job

    done = run_job(load_settings(), answer, arguments)
    if as_json:
        print_json(vars(done))
    else:
        print_result({"answer": answer, "exit code": done.exit_code}, as_json=False, title="Job")
    raise typer.Exit(done.exit_code)


BackupBucketOption = Annotated[str, typer.Option("--bucket", help="Bucket of the backups.")]
BackupPrefixOption = Annotated[str, typer.Option("--bucket-prefix", help="Prefix of the backups in their bucket.")]
BackupEndpointOption = Annotated[str | None, typer.Option("--endpoint-url", help="Its S3 endpoint; else AWS.")]
BackupRegionOption = Annotated[str, typer.Option("--region", help="Its region.")]
DumpsOption = Annotated[Path | None, typer.Option(help="Folder of <database>.dump files (pg_dump --format=custom).")]


@app.command(
    "backup", epilog=examples("plumbline cluster backup --bucket backups --endpoint-url https://s3.example --keep 14")
)
def backup(
    bucket: BackupBucketOption,
    bucket_prefix: BackupPrefixOption = "plumbline-backup",
    endpoint_url: BackupEndpointOption = None,
    region: BackupRegionOption = "us-east-1",
    prefix: Annotated[
        list[str] | None, typer.Option("--prefix", help="Prefix of the store's bucket to save; repeatable.")
    ] = None,
    dumps: DumpsOption = None,
    keep: Annotated[int, typer.Option(min=1, help="Backups that stay.")] = 14,
    as_json: JsonOption = False,
) -> None:
    """Saves objects and dumps in a bucket (BACKUP_ACCESS_KEY_ID, BACKUP_SECRET_ACCESS_KEY), each content once."""
    from plumbline.cluster.backup import back_up
    from plumbline.cluster.vault import place

    if not prefix and dumps is None:
        raise UserError("There is nothing to save: give --prefix, --dumps, or both.")
    done = back_up(
        load_settings().store,
        place(bucket=bucket, endpoint_url=endpoint_url, region=region),
        place=bucket_prefix,
        prefixes=prefix or [],
        dumps=dumps,
        keep=keep,
        tell=_tell,
    )
    print_result(done, as_json=as_json, title="Backup")


@app.command(
    "restore", epilog=examples("plumbline cluster restore latest --bucket backups --endpoint-url https://s3.example")
)
def restore(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Id of the backup, or `latest`.")],
    bucket: BackupBucketOption,
    bucket_prefix: BackupPrefixOption = "plumbline-backup",
    endpoint_url: BackupEndpointOption = None,
    region: BackupRegionOption = "us-east-1",
    dumps: DumpsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Brings a backup's objects back, and lays its dumps into a folder for pg_restore; may be run again."""
    from plumbline.cluster.backup import restore as run
    from plumbline.cluster.vault import place

    done = run(
        load_settings().store,
        place(bucket=bucket, endpoint_url=endpoint_url, region=region),
        place=bucket_prefix,
        identity=identity,
        dumps=dumps,
        tell=_tell,
    )
    print_result(done, as_json=as_json, title="Restored")


def _tell(text: str) -> None:
    progress_console.print(f"  {text}", soft_wrap=True, markup=False)
