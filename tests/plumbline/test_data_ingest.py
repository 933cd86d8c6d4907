from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from posting_rows import START, postings

from plumbline.data.contract import POSTING_COLUMNS
from plumbline.data.generator import GeneratorConfig, generate, raw_rows
from plumbline.data.generator.raw import to_raw
from plumbline.data.ingest import Drift, IngestResult, admit, ingest
from plumbline.data.mapping import RowMapper, contract_mapping, load_mapping
from plumbline.data.mapping.load import parse_mapping
from plumbline.data.quarantine import read_quarantine
from plumbline.data.reading import FileSource, IterableSource
from plumbline.data.snapshot import SnapshotStore
from plumbline.data.terms import read_label_terms
from plumbline.errors import ContractError, MappingError, MissingInputError
from plumbline.settings.data import DataSettings
from plumbline.storage import ObjectStore
from plumbline.storage.folder import FolderStore

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return FolderStore(tmp_path / "objects")


def mapper() -> RowMapper:
    return RowMapper(contract_mapping(POSTING_COLUMNS), POSTING_COLUMNS, 7.0)


def take_in(rows: list[dict[str, str]], store: ObjectStore, drift: Drift | None = None, **changed: Any) -> IngestResult:
    return ingest(
        IterableSource(POSTING_COLUMNS, [rows]),
        mapper(),
        store=store,
        settings=DataSettings(**changed),
        provenance={"kind": "test"},
        drift=drift,
    )


def test_good_rows_are_admitted_and_bad_ones_kept_with_their_line_and_reason(store: ObjectStore) -> None:
    rows = to_raw(postings(40, description="Write to a@b.pl"))
    rows[4] |= {"title": ""}
    rows[9] |= {"posting_id": "p0000", "description": "tel. 600 100 200"}
    rows[11] |= {"event_timestamp": "soon", "employment_type": "PERM"}
    result = take_in(rows, store)
    assert (result.rows_read, result.rows_admitted, result.rows_quarantined) == (40, 37, 3)
    assert result.reasons == {
        "title: missing": 1,
        "posting_id: already in this batch": 1,
        "event_timestamp: not a time in the mapping's format": 1,
    }
    assert result.masked == {"email": 37, "phone": 0, "link": 0}
    kept = read_quarantine(store, result.snapshot_id)
    assert [(row["line"], row["field"]) for row in kept] == [(5, "title"), (10, "posting_id"), (12, "event_timestamp")]
    assert kept[1]["row"]["description"] == "tel. <phone>"
    assert [each["field"] for each in kept[2]["problems"]] == ["event_timestamp", "employment_type"]
    written = SnapshotStore(store).read(result.snapshot_id)
    assert set(written.description) == {"Write to <email>"}
    assert len(written) == 37


def test_a_bad_first_row_does_not_block_its_good_repeat(store: ObjectStore) -> None:
    rows = to_raw(postings(20))
    rows[3] |= {"title": ""}
    rows[4] |= {"posting_id": rows[3]["posting_id"]}
    result = take_in(rows, store)
    assert result.reasons == {"title: missing": 1}


def test_a_batch_that_is_too_dirty_is_refused_whole_and_nothing_is_lost(store: ObjectStore) -> None:
    rows = to_raw(postings(20))
    for row in rows[:5]:
        row["board"] = ""
    with pytest.raises(
        ContractError, match=r"5 of 20 rows .* \(25.0%, tolerated 10.0%\): board: missing \(5\)"
    ) as error:
        take_in(rows, store)
    assert SnapshotStore(store).list() == []
    name = str(error.value).rpartition("data quarantine ")[2].rstrip("`.")
    assert [row["line"] for row in read_quarantine(store, name)] == [1, 2, 3, 4, 5]
    assert take_in(rows, store, max_bad_share=0.3).rows_quarantined == 5
    with pytest.raises(MissingInputError):
        read_quarantine(store, "refused-0")


def test_batches_without_a_good_row_are_refused(store: ObjectStore) -> None:
    with pytest.raises(ContractError, match="no rows"):
        take_in([], store)
    rows = to_raw(postings(3, title="x"))
    for row in rows:
        row["title"] = ""
    with pytest.raises(ContractError, match="refused"):
        take_in(rows, store, max_bad_share=1.0)


def test_the_chunk_size_changes_nothing(store: ObjectStore) -> None:
    rows = [row for chunk in raw_rows(GeneratorConfig(rows=700, seed=3)) for row in chunk]
    ids = {take_in(rows, store, chunk_rows=size).snapshot_id for size in (1, 97, 5000)}
    assert len(ids) == 1


def test_a_posting_later_than_its_collection_is_kept_out() -> None:
    rows = to_raw(postings(30)) + to_raw(
        postings(1, posting_id="f", event_timestamp=START.replace(year=2099), label="")
    )
    rows[-1]["label_timestamp"] = ""
    source = IterableSource(POSTING_COLUMNS, [rows])
    day = timedelta(days=1)
    for collected, kept_out, tolerance in (
        (START + 29 * day, 1, 1.0),
        (START + 27 * day, 2, 1.0),
        (START + 27 * day, 1, 2.5),
        (None, 0, 1.0),
    ):
        admission = admit(source, mapper(), DataSettings(future_tolerance_days=tolerance), collected=collected)
        days = "1 day" if tolerance == 1 else "2.5 days"
        reason = f"event_timestamp: later than its collection by more than {days}"
        assert dict(admission.quarantine.reasons) == ({reason: kept_out} if kept_out else {})


def test_a_label_from_a_year_that_was_typed_wrongly_is_kept_out() -> None:
    rows = to_raw(postings(10))
    rows[3]["label_timestamp"] = "2099-01-01T00:00:00+00:00"
    collected = START + timedelta(days=9)  # most labels arrive after it
    admission = admit(IterableSource(POSTING_COLUMNS, [rows]), mapper(), DataSettings(), collected=collected)
    reason = "label_timestamp: later than its collection by more than 366 days"
    assert dict(admission.quarantine.reasons) == {reason: 1}


def test_the_collection_of_a_row_counts_where_it_is_earlier() -> None:
    columns = (*POSTING_COLUMNS, "collected_at")
    rows = [row | {"collected_at": "2026-01-09"} for row in to_raw(postings(10))]
    rows[0]["collected_at"], rows[9]["collected_at"] = "", "2099-01-01"
    admission = admit(
        IterableSource(columns, [rows]),
        RowMapper(contract_mapping(columns), columns, 7.0),
        DataSettings(),
        collected=START + timedelta(days=6),
    )
    assert [row.event_timestamp.day for row in admission.postings.itertuples()] == [5, 6, 7, 8, 9, 10]
    assert admission.schema_diff.new == ()


def test_made_up_times_may_lie_in_any_future(tmp_path: Path) -> None:
    path = tmp_path / "emscad.csv"
    path.write_text("job_id,title,text\n1,t,d\n")
    made_up = {"sequence": {"start": "2099-01-01T00:00:00Z", "step_minutes": 60}}
    fields = {"posting_id": "job_id", "event_timestamp": made_up, "board": {"constant": "b"}, "title": "title"}
    mapping = parse_mapping({"fields": fields | {"description": "text"}}, "test")
    source = FileSource(path)
    assert len(admit(source, RowMapper(mapping, source.columns, 7.0), DataSettings(), collected=START).postings) == 1


def test_every_fault_of_the_generator_is_caught_and_nothing_else() -> None:
    config = GeneratorConfig(rows=4_000, seed=5, bad_share=0.05)
    admission = admit(IterableSource(POSTING_COLUMNS, raw_rows(config)), mapper(), DataSettings())
    assert len(admission.quarantine.reasons) == 10
    clean = admit(
        IterableSource(POSTING_COLUMNS, raw_rows(config.model_copy(update={"bad_share": 0.0}))),
        mapper(),
        DataSettings(),
    )
    assert len(clean.quarantine) == 0
    assert len(clean.postings) == 4_000
    assert 0.04 < admission.bad_share < 0.06
    assert min(clean.masked.values()) > 100


def test_drift_sets_in_at_its_point_and_is_on_record(store: ObjectStore) -> None:
    config = GeneratorConfig(rows=600, seed=3, weeks=10)
    rows = [row for frame in generate(config) for row in to_raw(frame)]
    change_point = START + timedelta(weeks=6)
    clean = take_in(rows, store)
    drifted = take_in(rows, store, Drift("vocabulary_shift", change_point, 3))
    assert clean.snapshot_id != drifted.snapshot_id
    store_of = SnapshotStore(store)
    before, after = store_of.read(clean.snapshot_id), store_of.read(drifted.snapshot_id)
    early = before.event_timestamp < change_point
    assert before[early].equals(after[early])
    assert (before[~early].description != after[~early].description).all()
    assert drifted.snapshot.source["change_point"] == change_point.isoformat()


def test_the_polish_file_is_read_to_the_last_row(job_ads_file: Path, store: ObjectStore) -> None:
    mapping = load_mapping(EXAMPLES / "job_ads_pl.yaml")
    source = FileSource(job_ads_file)
    start = time.monotonic()
    terms = read_label_terms(job_ads_file, mapping)
    result = ingest(
        source,
        RowMapper(mapping, source.columns, 7.0),
        store=store,
        settings=DataSettings(),
        provenance={},
        label_terms=terms,
    )
    assert time.monotonic() - start < 30
    assert (result.rows_read, result.rows_admitted) == (7_832, 7_685)
    assert result.reasons == {
        "posting_id: already in this batch": 142,
        "posting_id: missing": 3,
        "label: outside the allowed codes": 1,
        "description: missing": 1,
    }
    assert (result.admission.unmapped, result.admission.unparsed) == ({}, {})
    assert (result.admission.schema_diff.new, result.admission.schema_diff.missing) == ((), ())
    frame = SnapshotStore(store).read(result.snapshot_id)
    assert set(frame.label.dropna()) == set("123456789")
    assert frame.label.isna().sum() == 29
    assert (frame.currency == "PLN").sum() > 1_000
    assert terms is not None
    assert set(terms.label) == set("123456789")
    assert not terms.text.str.contains(r"\(\w+$", regex=True).any()
    lines = {row["line"] for row in read_quarantine(store, result.snapshot_id)}
    assert len(lines) == 147


def test_the_scam_sample_is_read(emscad_file: Path, store: ObjectStore) -> None:
    mapping = load_mapping(EXAMPLES / "emscad.yaml")
    source = FileSource(emscad_file)
    result = ingest(
        source, RowMapper(mapping, source.columns, 7.0), store=store, settings=DataSettings(), provenance={}
    )
    assert (result.rows_read, result.rows_quarantined) == (350, 0)
    assert result.admission.unmapped == {}
    assert set(SnapshotStore(store).read("latest").label) == {"0", "1"}


def test_terms_are_split_and_those_of_no_class_left_out(tmp_path: Path) -> None:
    mapping = load_mapping(EXAMPLES / "job_ads_pl.yaml")
    data = tmp_path / "postings.csv"
    assert read_label_terms(data, mapping) is None
    (tmp_path / "occupation_titles.csv").write_text(
        'code,desc\n011001,General\n721204,"Spawacz (MIG, MAG),  Spawacz\n TIG, Spawacz TIG"\n,x\n'
    )
    terms = read_label_terms(data, mapping)
    assert terms is not None
    assert terms.to_dict("list") == {"text": ["Spawacz (MIG, MAG)", "Spawacz TIG"], "label": ["7", "7"]}
    (tmp_path / "occupation_titles.csv").write_text("code,description\n1,x\n")
    with pytest.raises(MappingError, match=r"no column desc, .* Did you mean description\?"):
        read_label_terms(data, mapping)


def test_the_manifest_is_json(store: ObjectStore) -> None:
    result = take_in(to_raw(postings(3)), store)
    assert json.loads(json.dumps(SnapshotStore(store).manifest(result.snapshot_id)))["rows"] == 3
