"""Opens Feast with a configuration that is written from the settings: there is no second file to keep in step."""

from __future__ import annotations

import atexit
import functools
import gc
import sqlite3
import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.errors import FeastError, FeastObjectNotFoundException

from plumbline import paths
from plumbline.errors import DependencyError, MissingInputError, SettingsError
from plumbline.faults import reason
from plumbline.features.duckdb_offline import OFFLINE_STORE
from plumbline.features.views import views_dir
from plumbline.settings import Settings


def open_feature_store(settings: Settings) -> FeatureStore:
    """Opens the feature store of this installation; creates an empty local one where there is none.

    Raises:
        SettingsError: `features.online_store` is not a section that Feast accepts.
        DependencyError: The registry's database does not answer.
    """
    root = paths.features_dir(settings)
    root.mkdir(parents=True, exist_ok=True)
    secret = settings.features.registry_url
    registry = secret.get_secret_value() if secret else f"sqlite:///{root / 'registry.db'}"
    online = _online(settings, root / "online.db")
    return _open(settings.features.project, _sql_registry(registry), online, views_dir(settings))


def open_scratch_store(settings: Settings, folder: Path, project: str) -> FeatureStore:
    """Opens an empty store of the same kinds as the installation's, apart from it.

    SQLite gets a file of its own in `folder`; a server (Redis, Postgres) is shared, and the project's name keeps
    the rows apart. The registry is a file in `folder`.
    """
    online = _online(settings, folder / "online.db")
    if online.get("type") == "sqlite":
        online = {**online, "path": str(folder / "online.db")}
    registry = {"registry_type": "file", "path": str(folder / "registry.pb")}
    return _open(project, registry, online, views_dir(settings))


def apply_definitions(settings: Settings, objects: Sequence[Any]) -> dict[str, int]:
    """Writes Feast objects to the registry and prepares the online store. Doing it twice changes nothing.

    Returns:
        How many objects of each kind the registry was given.
    """
    store = open_feature_store(settings)
    store.apply(list(objects))
    let_reads_pass_writes(store)
    return dict(Counter(type(thing).__name__ for thing in objects))


def is_embedded(store: FeatureStore) -> bool:
    """Whether the online store is a SQLite file rather than a server."""
    return bool(store.config.online_store.type == "sqlite")


def let_reads_pass_writes(store: FeatureStore) -> None:
    """Puts an embedded online store into write-ahead mode, once and for good: the mode is kept in the file.

    In SQLite's default mode a materialisation that outgrows the page cache locks readers out until it commits;
    in this mode they keep reading the last committed rows.
    """
    if not is_embedded(store):
        return
    connection = sqlite3.connect(store.config.online_store.path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def not_applied(settings: Settings, error: FeastObjectNotFoundException) -> MissingInputError:
    """The error for a registry that does not hold what was asked for."""
    return MissingInputError(
        f"The feature registry under {paths.features_dir(settings)} does not hold what is needed ({error}). "
        "Run `plumbline features apply` first."
    )


def _online(settings: Settings, embedded: Path) -> dict[str, Any]:
    online = settings.features.online_store or {"type": "sqlite", "path": str(embedded)}
    if online.get("type") == "redis":
        # Feast's Redis keeps a row that is not older than the one it is given, and says nothing (Feast 0.67): a late
        # posting's row, or an earlier one in time travel, would never arrive. Which row is right is decided here.
        return {**online, "skip_dedup": True}
    return online


def _sql_registry(url: str) -> dict[str, Any]:
    # A view that is being materialised keeps its last good rows readable; without this, Feast refuses every use of
    # it from the moment that a materialisation starts until it ends, or for ever if it is killed (feast#6780).
    return {"registry_type": "sql", "path": url, "serve_features_while_materializing": True}


def _open(project: str, registry: dict[str, Any], online: dict[str, Any], views: Path) -> FeatureStore:
    from pydantic import ValidationError
    from sqlalchemy.exc import OperationalError

    _leave_quietly()
    _keep_utc_in_sqlite()
    # Said on every use, and nothing that a user of these commands could act on.
    for message in ("On demand feature view is an experimental", "fetch_arrow_table", "Arrow output on a DB-API"):
        warnings.filterwarnings("ignore", message=message)
    try:
        config = RepoConfig(
            project=project,
            provider="local",
            registry=registry,
            online_store=online,
            offline_store={"type": OFFLINE_STORE},
            entity_key_serialization_version=3,
            repo_path=views,
        )
        store = FeatureStore(config=config)
        # Feast opens the registry at its first use, wherever that is: here its errors can be told from others.
        _ = store.registry
    except (ValidationError, ValueError, FeastError) as error:
        raise SettingsError(
            f"Feast does not accept features.online_store or features.registry_url ({reason(error)}). "
            "See Feast's reference of online stores for the keys of each type."
        ) from error
    except OperationalError as error:
        raise DependencyError(
            f"The feature registry's database does not answer: {error.orig}. Check features.registry_url."
        ) from error
    return store


@functools.cache
def _keep_utc_in_sqlite() -> None:
    """Makes SQLite keep row times as seconds of UTC; replaces the converters that Feast registers on import.

    Feast's take a time's UTC fields for local time on the way in and out. That is wrong between processes in
    different zones, and in one zone for a row that falls into the hour that its clock skips in spring.
    """
    import feast.infra.online_stores.sqlite  # noqa: F401 - registers its own, to be replaced

    def to_seconds(time: datetime) -> int:
        return int((time.replace(tzinfo=UTC) if time.tzinfo is None else time).timestamp())

    def to_time(seconds: bytes) -> datetime:
        return datetime.fromtimestamp(int(seconds), tz=UTC)

    sqlite3.register_adapter(datetime, to_seconds)
    sqlite3.register_converter("timestamp", to_time)


@functools.cache
def _leave_quietly() -> None:
    """Closes the DuckDB connection that Feast opens through Ibis before the interpreter ends.

    DuckDB's bindings otherwise print pages of leaked functions to standard error at exit.
    """

    def close() -> None:
        import ibis  # type: ignore[import-untyped]

        backend = ibis.options.default_backend
        if backend is not None:
            backend.disconnect()
            ibis.options.default_backend = None
            del backend
            gc.collect()

    atexit.register(close)
