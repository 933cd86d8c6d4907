from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from plumbline.errors import DiskFullError, MissingInputError, UserError
from plumbline.settings import Settings
from plumbline.storage import open_store
from plumbline.storage.folder import FolderStore


def test_what_is_put_is_got_and_listed_in_order(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    address = store.put("b/2", b"two")
    store.put("b/10", b"ten")
    store.put("a/1", b"one")
    assert address == (tmp_path / "objects" / "b" / "2").as_uri()
    assert store.get("b/2") == b"two"
    assert (store.exists("b/2"), store.exists("b"), store.exists("c")) == (True, False, False)
    assert list(store.list("b/")) == ["b/10", "b/2"]
    assert list(store.list("b/1")) == ["b/10"]
    assert list(store.list("")) == ["a/1", "b/10", "b/2"]
    assert list(store.list("none/")) == []


def test_an_object_is_replaced_whole(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a", b"long content")
    store.put("a", b"short")
    assert store.get("a") == b"short"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_absent_object_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no object a/b"):
        FolderStore(tmp_path).get("a/b")


@pytest.mark.parametrize("key", ["/etc/passwd", "a/../../b", ".."])
def test_keys_stay_inside_the_folder(tmp_path: Path, key: str) -> None:
    store = FolderStore(tmp_path)
    for call in (store.get, store.exists, lambda name: store.put(name, b"")):
        with pytest.raises(UserError, match="not a valid object key"):
            call(key)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = FolderStore(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="PLUMBLINE_HOME"):
        store.put("a", b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file")
    with pytest.raises(UserError, match="cannot be written to"):
        FolderStore(tmp_path / "objects").put("a/b", b"")


def test_without_a_bucket_the_store_is_a_folder(settings: Settings) -> None:
    store = open_store(settings)
    assert isinstance(store, FolderStore)
    assert store.put("a", b"1") == (settings.home / "objects" / "a").as_uri()


def test_what_is_deleted_is_gone_and_may_be_deleted_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/1", b"one")
    store.delete("a/1")
    store.delete("a/1")
    assert not store.exists("a/1")
    assert list(store.list("")) == []
