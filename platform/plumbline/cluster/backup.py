"""Saves the object store and the databases' dumps in another bucket, and brings them back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline.cluster.vault import Bucket, Content, Manifest, Vault
from plumbline.cluster.waiting import Tell
from plumbline.errors import MissingInputError, SettingsError, UserError
from plumbline.settings.store import StoreSettings

_SUFFIX = ".dump"


def back_up(
    store: StoreSettings, target: StoreSettings, *, place: str, prefixes: Sequence[str], dumps: Path | None, keep: int,
    tell: Tell,
) -> dict[str, Any]:  # fmt: skip
    """Makes a backup, then deletes those beyond `keep`.

    An object that the last backup holds already is neither read nor written again.

    Args:
        store: What is saved.
        target: Bucket of the backups.
        place: Prefix of the backups in it.
        prefixes: Prefixes of the store's bucket that are saved; none saves the databases only.
        dumps: Folder with `<database>.dump` files; None saves the objects only.
        keep: Backups that stay.
        tell: Takes progress.

    Raises:
        UserError: There is nothing to save, or the backups would lie in what they save.
        DependencyError: A store does not answer; no backup has been made.
    """
    source, vault = Bucket(_named(store)), Vault(Bucket(target), place)
    starts = tuple(f"{prefix.strip('/')}/" for prefix in prefixes)
    _require_apart(store, target, vault, starts)
    files = [] if dumps is None else sorted(dumps.glob(f"*{_SUFFIX}"))
    if dumps is not None and not files:
        raise MissingInputError(f"There is no {_SUFFIX} file in {dumps}; pg_dump --format=custom writes them.")
    vault.bucket.ensure()
    now = datetime.now(UTC)
    known = vault.contents()
    ids = vault.ids()
    before = {each.name: each for each in vault.manifest(ids[-1]).objects} if ids else {}
    tell(f"{len(files)} databases, and objects under {', '.join(starts) or 'no prefix'}")
    saved = [_save_dump(file, vault, known) for file in files]
    objects, read = [], 0
    for start in starts:
        for listed in source.list(start):
            earlier = before.get(str(listed["Key"]))
            unchanged = earlier is not None and (earlier.etag, earlier.size) == (listed["ETag"], listed["Size"])
            if earlier is not None and unchanged and earlier.sha256 in known:
                objects.append(earlier)
                continue
            read += 1
            with source.download(str(listed["Key"])) as file:
                digest, size = vault.keep(file, known)
            objects.append(Content(str(listed["Key"]), size, digest, str(listed["ETag"])))
    identity = new_id(now)
    vault.write(Manifest(identity, now.isoformat(), source.name, starts, tuple(objects), tuple(saved)))
    tell(f"backup {identity} is whole; deleting what is older than the newest {keep}")
    forgotten = vault.forget(keep)
    return {
        "id": identity,
        "databases": [each.name for each in saved],
        "objects": len(objects),
        "objects_copied": read,
        "bytes": sum(each.size for each in (*objects, *saved)),
        "deleted": forgotten,
    }


def restore(
    store: StoreSettings, target: StoreSettings, *, place: str, identity: str, dumps: Path | None, tell: Tell
) -> dict[str, Any]:
    """Brings a backup's objects back, and lays its dumps where pg_restore finds them. May be run again.

    Objects that the backup does not name are left: they are immutable, and nothing that is restored names them.

    Args:
        store: Where the objects go.
        target: Bucket of the backups.
        place: Prefix of the backups in it.
        identity: Which one; `latest` is the newest.
        dumps: Folder for the dumps; None brings the objects only.
        tell: Takes progress.

    Raises:
        MissingInputError: There is no such backup.
        IntegrityError: Something in it is not what was written.
        DependencyError: A store does not answer.
    """
    destination, vault = Bucket(_named(store)), Vault(Bucket(target), place)
    manifest = vault.manifest(identity)
    tell(
        f"backup {manifest.id} of {manifest.created}: {len(manifest.objects)} objects, {len(manifest.dumps)} databases"
    )
    destination.ensure()
    if dumps is not None:
        dumps.mkdir(parents=True, exist_ok=True)
        for each in manifest.dumps:
            with vault.open(each) as file, (dumps / f"{each.name}{_SUFFIX}").open("wb") as out:
                shutil.copyfileobj(file, out)
    written = 0
    for each in manifest.objects:
        if destination.etag(each.name) != each.etag:
            with vault.open(each) as file:
                destination.upload(each.name, file)
            written += 1
    return {
        "id": manifest.id,
        "databases": [each.name for each in manifest.dumps] if dumps is not None else [],
        "objects": len(manifest.objects),
        "objects_written": written,
    }


def new_id(now: datetime) -> str:
    """Name of a backup that begins now; names sort as their times do."""
    return f"{now:%Y%m%dT%H%M%SZ}"


def _save_dump(path: Path, vault: Vault, known: set[str]) -> Content:
    with path.open("rb") as file:
        digest, size = vault.keep(file, known)
    return Content(path.name.removesuffix(_SUFFIX), size, digest)


def _named(store: StoreSettings) -> StoreSettings:
    if store.bucket is None:
        raise SettingsError("No bucket is named; set PLUMBLINE_STORE__BUCKET.")
    return store


def _require_apart(store: StoreSettings, target: StoreSettings, vault: Vault, starts: tuple[str, ...]) -> None:
    same = (store.endpoint_url, store.bucket) == (target.endpoint_url, target.bucket)
    if same and any(vault.prefix.startswith(start) for start in starts):
        raise UserError(f"The backups would lie under {vault.prefix}, in what they save. Give them another prefix.")
