"""The place of the backups: a manifest per backup, and each content once, under its own digest.

<prefix>/backups/<id>.json     what the backup holds; written last, so that a backup is whole or not there
<prefix>/content/<sha256>      objects and database dumps; what two backups share lies here once
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, cast

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from plumbline.cluster.buckets import create, head
from plumbline.cluster.waiting import sentence
from plumbline.errors import DependencyError, IntegrityError, MissingInputError
from plumbline.settings.store import StoreSettings
from plumbline.storage.s3 import s3_client

KEY_VARIABLE, SECRET_VARIABLE = "BACKUP_ACCESS_KEY_ID", "BACKUP_SECRET_ACCESS_KEY"
_IN_MEMORY = 16 * 1024 * 1024


@dataclass(frozen=True)
class Content:
    """One object or dump.

    Attributes:
        name: Key of the object in its bucket, or name of the database.
        size: Bytes.
        sha256: Digest; the name of the content in the vault.
        etag: The store's own mark of the object, by which an unchanged one is known without reading it.
    """

    name: str
    size: int
    sha256: str
    etag: str = ""


@dataclass(frozen=True)
class Manifest:
    """What one backup holds."""

    id: str
    created: str
    bucket: str
    prefixes: tuple[str, ...]
    objects: tuple[Content, ...]
    dumps: tuple[Content, ...]


def place(*, bucket: str, endpoint_url: str | None, region: str) -> StoreSettings:
    """Where backups go; credentials from BACKUP_ACCESS_KEY_ID and its secret, else boto3's own chain."""
    secret = os.environ.get(SECRET_VARIABLE)
    return StoreSettings(
        bucket=bucket,
        endpoint_url=endpoint_url,
        region=region,
        access_key_id=os.environ.get(KEY_VARIABLE),
        secret_access_key=None if secret is None else SecretStr(secret),
    )


class Bucket:
    """A bucket read and written as a whole, its errors turned into sentences."""

    def __init__(self, settings: StoreSettings) -> None:
        self._client = s3_client(settings)
        self._region = settings.region
        self.name = settings.bucket or ""
        self._where = f"s3://{self.name} at {settings.endpoint_url or 'AWS'}"

    def ensure(self) -> None:
        """Makes the bucket if it is missing; where that cannot be asked, the first request tells."""
        if head(self._client, self.name) == "missing":
            create(self._client, self.name, self._region)

    def list(self, prefix: str) -> Iterator[dict[str, Any]]:
        """`Key`, `Size`, `ETag` of each object under a prefix."""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            yield from (each for page in pages for each in page.get("Contents", ()))

    def etag(self, key: str) -> str | None:
        """The store's mark of an object; None where there is none."""
        with self._errors(key):
            try:
                return str(self._client.head_object(Bucket=self.name, Key=key)["ETag"])
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                    return None
                raise

    def upload(self, key: str, file: BinaryIO) -> None:
        """Writes an object from a file, in parts where it is large."""
        with self._errors(key):
            file.seek(0)
            self._client.upload_fileobj(_Unclosed(file), self.name, key)

    @contextmanager
    def download(self, key: str) -> Iterator[BinaryIO]:
        """An object in a temporary file, in memory while it is small."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
            file = cast("BinaryIO", spool)
            with self._errors(key):
                self._client.download_fileobj(self.name, key, file)
            file.seek(0)
            yield file

    def delete(self, key: str) -> None:
        """Deletes an object, if it is there."""
        with self._errors(key):
            self._client.delete_object(Bucket=self.name, Key=key)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise DependencyError(f"{self._where} did not take the request for {key}: {sentence(error)}") from error


class _Unclosed:
    """A file that stays open: boto3 closes what it uploads, and the caller may go on with it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        return


class Vault:
    """Backups under a prefix of a bucket."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def ids(self) -> list[str]:
        """Whole backups, oldest first."""
        start = f"{self.prefix}backups/"
        keys = (str(each["Key"]).removeprefix(start) for each in self.bucket.list(start))
        return sorted(key.removesuffix(".json") for key in keys if key.endswith(".json"))

    def manifest(self, identity: str) -> Manifest:
        """A backup's manifest; `latest` is the newest one's.

        Raises:
            MissingInputError: There is no such backup.
            IntegrityError: It is damaged.
        """
        ids = self.ids()
        wanted = ids[-1] if identity == "latest" and ids else identity
        if wanted not in ids:
            known = f"there are {', '.join(ids[-5:])}" if ids else "there is none"
            raise MissingInputError(f"There is no backup {identity} in s3://{self.bucket.name}/{self.prefix}: {known}.")
        with self.bucket.download(self._manifest_key(wanted)) as file:
            try:
                stored = json.loads(file.read())
                body = stored["manifest"]
                if _digest_of(body) != stored["sha256"]:
                    raise IntegrityError(f"The manifest of backup {wanted} is not what was written. Take another one.")
                body["prefixes"] = tuple(body["prefixes"])
                for name in ("objects", "dumps"):
                    body[name] = tuple(Content(**each) for each in body[name])
                return Manifest(**body)
            except (ValueError, KeyError, TypeError) as error:
                raise IntegrityError(f"The manifest of backup {wanted} cannot be read. Take another one.") from error

    def write(self, manifest: Manifest) -> None:
        """Writes a manifest: from now on the backup is there."""
        body = json.loads(json.dumps(asdict(manifest)))
        content = json.dumps({"sha256": _digest_of(body), "manifest": body}, ensure_ascii=False).encode()
        with tempfile.TemporaryFile() as file:
            file.write(content)
            self.bucket.upload(self._manifest_key(manifest.id), cast("BinaryIO", file))

    def keep(self, file: BinaryIO, known: set[str]) -> tuple[str, int]:
        """Takes a content in, unless it is there; returns digest and size."""
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file will do
        size = file.tell()
        if digest not in known:
            self.bucket.upload(self._content_key(digest), file)
            known.add(digest)
        return digest, size

    def contents(self) -> set[str]:
        """Digests of all contents."""
        start = f"{self.prefix}content/"
        return {str(each["Key"]).removeprefix(start) for each in self.bucket.list(start)}

    @contextmanager
    def open(self, content: Content) -> Iterator[BinaryIO]:
        """A content, its digest checked.

        Raises:
            IntegrityError: It is not what was written.
        """
        with self.bucket.download(self._content_key(content.sha256)) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != content.sha256:  # type: ignore[arg-type]
                raise IntegrityError(
                    f"The backup's content of {content.name} is not what was written. Restore another backup."
                )
            file.seek(0)
            yield file

    def forget(self, keep: int) -> list[str]:
        """Deletes all but the newest backups, then contents that no backup names; returns the ids that went."""
        ids = self.ids()
        old = ids[:-keep]
        for identity in old:
            self.bucket.delete(self._manifest_key(identity))
        named = {
            each.sha256
            for identity in ids[-keep:]
            for manifest in (self.manifest(identity),)
            for each in (*manifest.objects, *manifest.dumps)
        }
        for digest in self.contents() - named:
            self.bucket.delete(self._content_key(digest))
        return old

    def _manifest_key(self, identity: str) -> str:
        return f"{self.prefix}backups/{identity}.json"

    def _content_key(self, digest: str) -> str:
        return f"{self.prefix}content/{digest}"


def _digest_of(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
