"""Against a real S3 endpoint over HTTP: moto's server, in a process of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import boto3
import pytest
from posting_rows import postings
from pydantic import SecretStr
from s3_endpoint import running_endpoint

from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import DependencyError, MissingInputError, SettingsError, UserError
from plumbline.settings import load_settings
from plumbline.settings.store import StoreSettings
from plumbline.storage import open_store
from plumbline.storage.s3 import S3Store

_PAGE = 1_000
"""Keys that S3 lists at a time."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with running_endpoint() as url:
        yield url


def settings_for(endpoint: str, bucket: str = "postings", **changed: object) -> StoreSettings:
    given = {
        "bucket": bucket,
        "endpoint_url": endpoint,
        "access_key_id": "test",
        "secret_access_key": SecretStr("test"),
        "attempts": 1,
        "connect_timeout_seconds": 2.0,
    }
    return StoreSettings.model_validate(given | changed)


@pytest.fixture
def store(endpoint: str) -> S3Store:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="postings")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="postings"):
        for each in page.get("Contents", ()):
            client.delete_object(Bucket="postings", Key=each["Key"])
    return S3Store(settings_for(endpoint))


def test_what_is_put_is_got_and_listed_in_order(store: S3Store) -> None:
    assert store.put("b/2", b"two") == "s3://postings/plumbline/b/2"
    store.put("b/10", "zehn €".encode())
    store.put("a/1", b"")
    assert store.get("b/2") == b"two"
    assert store.get("b/10").decode() == "zehn €"
    assert store.get("a/1") == b""
    assert (store.exists("b/2"), store.exists("b"), store.exists("c")) == (True, False, False)
    assert list(store.list("b/")) == ["b/10", "b/2"]
    assert list(store.list("")) == ["a/1", "b/10", "b/2"]


def test_long_lists_are_read_to_their_end(store: S3Store) -> None:
    keys = [f"many/{number:05d}" for number in range(_PAGE + 3)]
    for key in keys:
        store.put(key, b"")
    assert list(store.list("many/")) == keys


def test_snapshots_live_in_a_bucket_as_in_a_folder(store: S3Store) -> None:
    snapshots = SnapshotStore(store)
    written = snapshots.write(postings(5), source={"kind": "test"})
    assert written.uri.startswith("s3://postings/plumbline/snapshots/")
    assert snapshots.read(written.id[:10]).equals(postings(5))
    assert snapshots.latest() == written


def test_the_prefix_keeps_installations_apart(store: S3Store, endpoint: str) -> None:
    other = S3Store(settings_for(endpoint, prefix="/other/"))
    bare = S3Store(settings_for(endpoint, prefix=""))
    store.put("a", b"1")
    assert not other.exists("a")
    assert other.put("a", b"2") == "s3://postings/other/a"
    assert list(bare.list("")) == ["other/a", "plumbline/a"]


def test_the_settings_choose_the_bucket(store: S3Store, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("BUCKET", "postings"),
        ("ENDPOINT_URL", endpoint),
        ("ACCESS_KEY_ID", "test"),
        ("SECRET_ACCESS_KEY", "test"),
    ):
        monkeypatch.setenv(f"PLUMBLINE_STORE__{name}", value)
    settings = load_settings()
    assert "test" not in repr(settings.store.secret_access_key)
    opened = open_store(settings)
    opened.put("from/settings", b"1")
    assert store.get("from/settings") == b"1"


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: S3Store) -> None:
    store.put("a/1", b"one")
    store.delete("a/1")
    store.delete("a/1")
    assert not store.exists("a/1")


def test_absent_objects_and_wrong_keys(store: S3Store) -> None:
    with pytest.raises(MissingInputError, match="no object none"):
        store.get("none")
    with pytest.raises(UserError, match="not a valid object key"):
        store.put("../a", b"")


def test_a_bucket_that_is_not_there_says_what_to_do(store: S3Store, endpoint: str) -> None:
    absent = S3Store(settings_for(endpoint, bucket="no-such-bucket"))
    for call in (lambda: absent.put("a", b""), lambda: absent.get("a"), lambda: list(absent.list(""))):
        with pytest.raises(DependencyError, match="PLUMBLINE_STORE__BUCKET"):
            call()


def test_an_endpoint_that_does_not_answer_is_a_dependency_error() -> None:
    silent = S3Store(settings_for(f"http://127.0.0.1:{_free_port()}"))
    for call in (lambda: silent.put("a", b""), lambda: silent.exists("a"), lambda: list(silent.list(""))):
        with pytest.raises(DependencyError, match="PLUMBLINE_STORE__ENDPOINT_URL"):
            call()


def test_half_given_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="PLUMBLINE_STORE__BUCKET"):
        S3Store(StoreSettings())
    with pytest.raises(SettingsError, match="together"):
        S3Store(StoreSettings(bucket="b", access_key_id="half"))
