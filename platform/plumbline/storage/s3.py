"""Objects in an S3 bucket, through boto3: AWS, or any endpoint that speaks its protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from plumbline.errors import DependencyError, MissingInputError, SettingsError, UserError
from plumbline.settings.store import StoreSettings

T = TypeVar("T")

_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
_REFUSED = frozenset(
    {"AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
)


def s3_client(settings: StoreSettings) -> Any:
    """boto3's client for the settings' endpoint; nothing is sent yet.

    Raises:
        SettingsError: Only half of the credentials is named.
    """
    secret = settings.secret_access_key
    if (settings.access_key_id is None) != (secret is None):
        raise SettingsError(
            "Set PLUMBLINE_STORE__ACCESS_KEY_ID and PLUMBLINE_STORE__SECRET_ACCESS_KEY together, "
            "or neither of them to use boto3's own chain of credentials."
        )
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=None if secret is None else secret.get_secret_value(),
        config=Config(
            connect_timeout=settings.connect_timeout_seconds,
            read_timeout=settings.read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": settings.attempts},
            # Buckets as host names need a DNS that few endpoints beside AWS have; and few of those know the
            # checksums that newer clients send unasked.
            s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class S3Store:
    """Object store in a bucket. A put is atomic: S3 shows an object whole or not at all."""

    def __init__(self, settings: StoreSettings) -> None:
        """Makes the client; nothing is sent yet.

        Args:
            settings: Bucket, prefix, endpoint and credentials.

        Raises:
            SettingsError: No bucket is named, or only half of the credentials is.
        """
        if settings.bucket is None:
            raise SettingsError("No bucket is named; set PLUMBLINE_STORE__BUCKET.")
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._where = settings.endpoint_url or "AWS"
        self._client: Any = s3_client(settings)

    def put(self, key: str, content: bytes) -> str:
        """See `ObjectStore.put`."""
        name = self._name(key)
        self._ask(lambda: self._client.put_object(Bucket=self._bucket, Key=name, Body=content), key)
        return f"s3://{self._bucket}/{name}"

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        name = self._name(key)

        def fetch() -> bytes:
            content: bytes = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            return content

        return self._ask(fetch, key)

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        name = self._name(key)
        try:
            self._ask(lambda: self._client.head_object(Bucket=self._bucket, Key=name), key)
        except MissingInputError:
            return False
        return True

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        name = self._name(key)
        self._ask(lambda: self._client.delete_object(Bucket=self._bucket, Key=name), key)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.list`."""
        pages = self._client.get_paginator("list_objects_v2")

        def names() -> Any:
            found = pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            return sorted(each["Key"] for page in found for each in page.get("Contents", ()))

        for name in self._ask(names, prefix):
            yield name.removeprefix(self._prefix)

    def _name(self, key: str) -> str:
        if key.startswith("/") or ".." in key.split("/"):
            raise UserError(f"{key!r} is not a valid object key: use a relative path without '..'.")
        return self._prefix + key

    def _ask(self, request: Callable[[], T], key: str) -> T:
        """Sends a request, and turns what boto3 raises into errors of the house."""
        try:
            return request()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _ABSENT:
                raise MissingInputError(f"There is no object {key} in s3://{self._bucket}/{self._prefix}.") from error
            if code == "NoSuchBucket":
                raise DependencyError(
                    f"{self._where} has no bucket {self._bucket}. Make it, or correct PLUMBLINE_STORE__BUCKET."
                ) from error
            if code in _REFUSED:
                raise DependencyError(
                    f"{self._where} refused access to s3://{self._bucket}/{self._prefix}{key} ({code}). "
                    "Check PLUMBLINE_STORE__ACCESS_KEY_ID, its secret, and the bucket's policy."
                ) from error
            raise DependencyError(f"{self._where} did not take the request for {key}: {error}") from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise SettingsError(
                f"There are no credentials for the object store {self._where} ({error}). Set "
                "PLUMBLINE_STORE__ACCESS_KEY_ID and PLUMBLINE_STORE__SECRET_ACCESS_KEY, or what boto3 reads itself."
            ) from error
        except BotoCoreError as error:
            raise DependencyError(
                f"The object store {self._where} did not answer for s3://{self._bucket}/{self._prefix}{key}: {error}. "
                "Check PLUMBLINE_STORE__ENDPOINT_URL and the network."
            ) from error
