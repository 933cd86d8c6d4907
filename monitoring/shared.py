"""Where everything lies that a monitor leaves: results, calibrations, reports, alerts."""

from __future__ import annotations

from plumbline import paths
from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store
from plumbline.storage.folder import FolderStore

_PREFIX = "monitoring"


def open_monitoring_store(settings: Settings) -> ObjectStore:
    """The monitors' part of the bucket where there is one, so that every pod sees the same; else their folder."""
    if settings.store.bucket is None:
        return FolderStore(paths.monitoring_dir(settings))
    prefix = f"{settings.store.prefix.strip('/')}/{_PREFIX}".strip("/")
    return open_store(settings.model_copy(update={"store": settings.store.model_copy(update={"prefix": prefix})}))


def keep_last(store: ObjectStore, prefix: str, number: int) -> None:
    """Takes away the oldest objects beyond `number`; their names begin with when they were made."""
    for key in list(store.list(prefix))[:-number]:
        store.delete(key)
