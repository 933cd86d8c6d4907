"""One computation of the views for every pod: published to the bucket, fetched into each pod's own folder.

A build is `features/views/<build>/<file>`; `features/views/newest.json` names it with the digest of each file and is
written last. Without a bucket the folder is all there is, and nothing here does anything.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from plumbline.errors import IntegrityError, MissingInputError
from plumbline.files import atomic_write
from plumbline.locks import exclusive
from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store

BUILDS_KEPT = 5
"""A pod that has just read the pointer has time to fetch the build, while others publish newer ones."""

_ROOT = "features/views"
_POINTER = f"{_ROOT}/newest.json"
_LOCAL = "newest.json"
_LOCK = ".lock"


def publish_views(settings: Settings, folder: Path, names: list[str]) -> str | None:
    """Uploads the files of one computation, points to it, and takes away the oldest beyond `BUILDS_KEPT`.

    Args:
        settings: Says whether there is a bucket.
        folder: The views' folder.
        names: Files of the computation, the record among them.

    Returns:
        The build's name; None where there is no bucket.

    Raises:
        DependencyError: The bucket did not take them; the pointer still names the build before.
    """
    if settings.store.bucket is None:
        return None
    store = open_store(settings)
    contents = {name: (folder / name).read_bytes() for name in names}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    identity = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    build = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{identity[:12]}"
    for name, content in contents.items():
        store.put(f"{_ROOT}/{build}/{name}", content)
    pointer = json.dumps({"build": build, "files": digests}, indent=2).encode()
    store.put(_POINTER, pointer)
    with exclusive(folder / _LOCK), atomic_write(folder / _LOCAL) as path:
        path.write_bytes(pointer)
    _prune(store, build)
    return build


def fetch_views(settings: Settings, folder: Path) -> str | None:
    """Brings the folder up to the newest published build; what is current already is not fetched again.

    Files are verified by their digests before the first of them is replaced. A process that is killed in between
    leaves the pointer's local copy behind, so that the next one fetches everything again.

    Returns:
        The build's name; None where there is no bucket, or nothing was published yet.

    Raises:
        DependencyError: The bucket did not answer.
        IntegrityError: A file is not what its digest says.
    """
    if settings.store.bucket is None:
        return None
    store = open_store(settings)
    try:
        return _fetch(store, folder)
    except MissingInputError:
        # The build was pruned between its pointer and its files: by now there is a newer pointer.
        return _fetch(store, folder)


def _fetch(store: ObjectStore, folder: Path) -> str | None:
    if not store.exists(_POINTER):
        return None
    pointer = store.get(_POINTER)
    wanted = json.loads(pointer)
    build: str = wanted["build"]
    if _is_current(folder, pointer, wanted["files"]):
        return build
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / _LOCK):
        if _is_current(folder, pointer, wanted["files"]):  # another process of this pod was faster
            return build
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetched-") as arrived:
            for name, digest in wanted["files"].items():
                key = f"{_ROOT}/{build}/{name}"
                content = store.get(key)
                if hashlib.sha256(content).hexdigest() != digest:
                    raise IntegrityError(
                        f"{key} is not what its digest says. Run `plumbline features build --snapshot latest` again."
                    )
                (Path(arrived) / Path(name).name).write_bytes(content)
            (folder / _LOCAL).unlink(missing_ok=True)
            for name in wanted["files"]:
                (Path(arrived) / Path(name).name).replace(folder / Path(name).name)
        with atomic_write(folder / _LOCAL) as path:
            path.write_bytes(pointer)
    return build


def _is_current(folder: Path, pointer: bytes, files: dict[str, str]) -> bool:
    local = folder / _LOCAL
    return local.is_file() and local.read_bytes() == pointer and all((folder / name).is_file() for name in files)


def _prune(store: ObjectStore, newest: str) -> None:
    builds: dict[str, list[str]] = {}
    for key in store.list(f"{_ROOT}/"):
        build, _, name = key.removeprefix(f"{_ROOT}/").partition("/")
        if name:
            builds.setdefault(build, []).append(key)
    for build in sorted(builds)[:-BUILDS_KEPT]:
        if build != newest:
            for key in builds[build]:
                store.delete(key)
