"""Creates buckets of the object store where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from plumbline.cluster.waiting import Tell, sentence, wait_until
from plumbline.errors import DependencyError, SettingsError, UserError
from plumbline.settings.store import StoreSettings
from plumbline.storage.s3 import s3_client

Outcome = Literal["created", "there"]
_OURS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_DEFAULT_REGION = "us-east-1"


def client_of(settings: StoreSettings) -> Any:
    """The S3 client that the settings describe."""
    return s3_client(settings)


def head(client: Any, bucket: str) -> str:
    """`there`, `missing`, or what the endpoint or the network says."""
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return "missing" if status == 404 else sentence(error)
    except BotoCoreError as error:
        return sentence(error)
    return "there"


def ensure_buckets(
    settings: StoreSettings, more: Sequence[str], *, timeout_seconds: float, tell: Tell
) -> dict[str, Outcome]:
    """Waits for the endpoint, then creates the settings' bucket and further ones where they are missing.

    Raises:
        SettingsError: No bucket is named.
        UserError: The endpoint refuses to make one.
        DependencyError: The endpoint does not answer.
    """
    if settings.bucket is None:
        raise SettingsError("No bucket is named; set PLUMBLINE_STORE__BUCKET.")
    client = client_of(settings)
    where = settings.endpoint_url or "AWS"
    done: dict[str, Outcome] = {}
    for bucket in dict.fromkeys((settings.bucket, *more)):

        def check(bucket: str = bucket) -> str | None:
            found = head(client, bucket)
            if found == "missing":
                create(client, bucket, settings.region)
                done[bucket] = "created"
                return None
            if found == "there":
                done[bucket] = "there"
                return None
            return found

        wait_until(f"bucket {bucket} at {where}", check, timeout_seconds=timeout_seconds, tell=tell)
    return done


def create(client: Any, bucket: str, region: str) -> None:
    """Creates a bucket; one that another pod makes in this moment is as good.

    Raises:
        UserError: The endpoint refuses it: its name, or for want of a right.
        DependencyError: The endpoint failed.
    """
    where = {} if region == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.create_bucket(Bucket=bucket, **where)
    except ClientError as error:
        # Whether a bucket of another owner is usable, the first object shows.
        if error.response.get("Error", {}).get("Code") in _OURS:
            return
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        # A name or a right that is refused will be refused again.
        kind = UserError if 400 <= status < 500 else DependencyError
        raise kind(f"The bucket {bucket} could not be made: {sentence(error)}") from error
    except BotoCoreError as error:
        raise DependencyError(f"The bucket {bucket} could not be made: {sentence(error)}") from error
