"""Sets MLflow up: SQLite and a folder on this machine, or any server, by one setting.

What a process pays for it on a laptop: 0.8 s for importing MLflow, 0.4 s for opening SQLite, and 1.2 s more
in the one process that creates the schema.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from plumbline import paths
from plumbline.errors import DependencyError, SettingsError
from plumbline.locks import exclusive
from plumbline.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"

_EXPERIMENT_TAGS = {
    # Without it MLflow's pages offer what language-model agents need: traces, judges, "agent versions".
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": (
        "Pipeline runs of Plumbline, one row each; the steps are the runs below it. A row's name tells the day whose "
        "knowledge was used and what came of it."
    ),
}


@dataclass(frozen=True)
class Tracking:
    """An open connection to tracking and registry."""

    uri: str
    """Address of both."""

    client: MlflowClient
    """Client of both."""

    experiment_id: str
    """Experiment that runs belong to."""


def tracking_uri(settings: Settings) -> str:
    """Address of tracking and registry. Needs no MLflow."""
    return settings.tracking.uri or f"{_SQLITE}{paths.tracking_dir(settings) / 'mlflow.db'}"


def artifact_root(settings: Settings) -> str | None:
    """Where a new experiment keeps its artefacts; None leaves the choice to the server."""
    if settings.tracking.artifact_root is not None:
        return settings.tracking.artifact_root
    return (paths.tracking_dir(settings) / "artifacts").as_uri() if settings.tracking.uri is None else None


def configure(settings: Settings) -> Tracking:
    """Points MLflow at the settings' address, and creates database and experiment where they are missing.

    Raises:
        SettingsError: MLflow knows no store of such an address.
        DependencyError: The server or database does not answer.
    """
    uri = tracking_uri(settings)
    require_server(settings)
    mlflow = import_mlflow()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if settings.tracking.uri is None:
        create_database(Path(uri.removeprefix(_SQLITE)))
    try:
        if settings.tracking.uri is not None:
            _require_database(uri)
        client = mlflow.MlflowClient(uri, uri)
    except (mlflow.exceptions.MlflowException, ImportError) as error:
        raise SettingsError(
            f"MLflow cannot use PLUMBLINE_TRACKING__URI ({error}). Give the address of an MLflow server, such as "
            "http://mlflow:5000, or of a PostgreSQL database."
        ) from error
    return Tracking(uri, client, _experiment(client, settings))


def import_mlflow() -> Any:
    """Imports MLflow without its usage reports and without its chatter on standard error."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # standard output is for results
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


def create_database(path: Path) -> None:
    """Creates MLflow's SQLite database, unless it is there.

    The schema is made in a file aside that is renamed when it is whole: a killed process leaves no half a schema,
    and the many small commits of MLflow's migrations need not each wait for the disk.

    Write-ahead logging is a property of the file: from then on readers (serving's alias watcher) and a writer
    (the pipeline) do not block each other. MLflow itself waits up to 20 s for another writer.
    """
    if path.is_file():
        return
    with exclusive(path.with_suffix(".lock")):
        if path.is_file():
            return
        from mlflow.store.db import utils
        from sqlalchemy import event

        aside = path.with_suffix(".incoming")
        for leftover in path.parent.glob(f"{aside.name}*"):
            leftover.unlink()
        database: Any = utils  # MLflow's own functions for this carry no types
        engine = database.create_sqlalchemy_engine(f"{_SQLITE}{aside}")
        event.listen(engine, "connect", _without_waiting)
        database._initialize_tables(engine)
        engine.dispose()
        with contextlib.closing(sqlite3.connect(aside)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.rename(path)


def _without_waiting(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")


def _experiment(client: MlflowClient, settings: Settings) -> str:
    from mlflow.exceptions import MlflowException

    name = settings.tracking.experiment
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    try:
        return str(client.create_experiment(name, artifact_location=artifact_root(settings), tags=_EXPERIMENT_TAGS))
    except MlflowException:
        # another process was first, or the name belongs to a deleted experiment: only the former is fine
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return str(experiment.experiment_id)


def _require_database(uri: str) -> None:
    """Asks a database whether it is there, for the reason of `require_server`; other addresses pass.

    Raises:
        DependencyError: It does not answer.
        ImportError: Its driver is not installed.
    """
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    if uri.partition(":")[0].partition("+")[0] not in DATABASE_ENGINES:
        return
    engine = create_engine(uri)
    try:
        engine.connect().close()
    except OperationalError as error:
        why = " ".join(str(error.orig).split())
        raise DependencyError(
            f"MLflow's database does not answer ({why}). Start it, or correct PLUMBLINE_TRACKING__URI."
        ) from error
    finally:
        engine.dispose()


def require_server(settings: Settings) -> None:
    """Asks a server whether it is there: MLflow's own client retries for minutes before it says that nobody is.

    Raises:
        SettingsError: That is no address.
        DependencyError: It does not answer within `tracking.timeout_seconds`.
    """
    uri = tracking_uri(settings)
    if not uri.startswith(("http://", "https://")):
        return
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=settings.tracking.timeout_seconds)
    except httpx.InvalidURL as error:
        raise SettingsError(f"{uri} is not an address ({error}). Correct PLUMBLINE_TRACKING__URI.") from error
    except httpx.HTTPError as error:
        raise DependencyError(
            f"The MLflow server at {uri} does not answer ({error}). Start it, or correct PLUMBLINE_TRACKING__URI."
        ) from error
