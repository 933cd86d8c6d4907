from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from posting_rows import START, postings

from plumbline.data.frames import empty_frame
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import ContractError, IntegrityError, MissingInputError, UserError
from plumbline.storage.folder import FolderStore


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(FolderStore(tmp_path))


def test_what_is_written_is_read(store: SnapshotStore) -> None:
    frame = postings(9)
    written = store.write(frame, source={"kind": "test"})
    assert (written.rows, written.labelled, written.first_event) == (9, 9, START)
    pd.testing.assert_frame_equal(store.read(written.id), frame)
    assert str(store.read(written.id).event_timestamp.dtype) == "datetime64[us, UTC]"
    assert store.get(written.id) == written


def test_the_same_content_is_the_same_snapshot(store: SnapshotStore) -> None:
    frame = postings(9)
    first = store.write(frame, source={"take": 1})
    shuffled = frame.sample(frac=1, random_state=3).astype({"event_timestamp": "datetime64[ns, UTC]"})
    again = store.write(shuffled, source={"take": 2})
    assert again.id == first.id
    assert again.source == {"take": 1}
    assert store.list() == [again]


def test_names_of_classes_are_those_that_were_given_last(store: SnapshotStore) -> None:
    frame = postings(9)
    assert store.write(frame, source={"take": 1}).class_names == {}
    named = store.write(frame, source={"take": 2, "class_names": {"1": "Manager"}})
    assert named.source == {"take": 1, "class_names": {"1": "Manager"}}
    renamed = store.write(frame, source={"class_names": {"1": "Managers"}})
    assert renamed.class_names == {"1": "Managers"}
    assert store.write(frame, source={}).class_names == {"1": "Managers"}
    assert len(store.list()) == 1


@pytest.mark.parametrize("other", ["row", "terms", "quarantine"])
def test_other_content_is_another_snapshot(store: SnapshotStore, other: str) -> None:
    first = store.write(postings(9), source={})
    second = store.write(
        postings(9, title="Welder") if other == "row" else postings(9),
        source={},
        label_terms=pd.DataFrame({"text": ["Welder"], "label": ["7"]}) if other == "terms" else None,
        quarantine=b"{}\n" if other == "quarantine" else None,
    )
    assert first.id != second.id
    assert [each.id for each in store.list()] == [first.id, second.id]
    assert store.latest().id == second.id


def test_writing_an_old_one_again_makes_it_the_latest(store: SnapshotStore) -> None:
    first = store.write(postings(2), source={})
    store.write(postings(3), source={})
    store.write(postings(2), source={})
    assert store.resolve("latest") == first.id


def test_label_terms_travel_with_the_snapshot(store: SnapshotStore) -> None:
    terms = pd.DataFrame({"text": ["Spawacz", "Księgowy"], "label": ["7", "2"]})
    with_terms = store.write(postings(2), source={}, label_terms=terms)
    assert store.label_terms(with_terms.id).equals(terms)
    assert store.label_terms(store.write(postings(2), source={}).id) is None


def test_beginnings_of_an_id_are_taken(store: SnapshotStore) -> None:
    written = store.write(postings(2), source={})
    assert store.resolve(written.id[:8]) == written.id
    with pytest.raises(UserError, match="too short"):
        store.resolve(written.id[:7])
    with pytest.raises(MissingInputError, match="data snapshots"):
        store.read("0123456789")
    with pytest.raises(MissingInputError):
        store.read("0" * 64)


def test_an_empty_store_says_what_to_do(store: SnapshotStore) -> None:
    with pytest.raises(MissingInputError, match="data ingest"):
        store.read("latest")
    with pytest.raises(ContractError, match="no posting"):
        store.write(empty_frame(), source={})


def test_a_frame_that_is_none_of_postings_is_refused(store: SnapshotStore) -> None:
    with pytest.raises(ContractError, match="no column board"):
        store.write(postings(2).drop(columns="board"), source={})
    with pytest.raises(ContractError, match="types"):
        store.write(postings(2).assign(salary_min="much"), source={})


def test_changed_content_is_noticed(store: SnapshotStore, tmp_path: Path) -> None:
    written = store.write(postings(3), source={})
    folder = tmp_path / "snapshots" / written.id
    other = store.write(postings(4), source={})
    (folder / "postings.parquet").write_bytes((tmp_path / "snapshots" / other.id / "postings.parquet").read_bytes())
    with pytest.raises(IntegrityError, match="digest"):
        store.read(written.id)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["digests"]["postings"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="changed"):
        store.manifest(written.id)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="not JSON"):
        store.list()


def test_what_has_no_manifest_does_not_exist(store: SnapshotStore, tmp_path: Path) -> None:
    written = store.write(postings(3), source={})
    (tmp_path / "snapshots" / written.id / "manifest.json").unlink()
    assert store.list() == []
