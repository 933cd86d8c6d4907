"""Files as other people write them: read, or refused with what was seen and what to set."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.data.ingest import Admission, admit
from plumbline.data.mapping import RowMapper
from plumbline.data.mapping.load import open_file, parse_mapping
from plumbline.data.quarantine import read_quarantine
from plumbline.data.reading import FileSource
from plumbline.errors import MappingError, UserError
from plumbline.settings.data import DataSettings
from plumbline.storage.folder import FolderStore

ROW = {"id": "w-1", "when": "2026-01-05", "board": "jobs.example", "title": "Sjuksköterska", "text": "Vård på natten"}
CSV = f"{','.join(ROW)}\n{','.join(ROW.values())}\n"
FIELDS = {
    "posting_id": "id", "event_timestamp": "when", "board": "board", "title": "title", "description": "text",
}  # fmt: skip


def read(path: Path, fields: dict[str, Any] | None = None, **settings: Any) -> Admission:
    mapping = parse_mapping({"fields": FIELDS | (fields or {}), **settings}, "test")
    source = open_file(path, mapping)
    return admit(source, RowMapper(mapping, source.columns, 7.0), DataSettings())


def lines(*rows: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV.encode()),
        ("a.csv", CSV.encode("utf-8-sig")),
        ("a.csv", CSV.encode("utf-16")),
        ("a.csv", CSV.encode("utf-32")),
        ("a.csv", gzip.compress(CSV.encode("utf-16"), mtime=0)),
        ("a.csv.gz", gzip.compress(CSV.encode("utf-8-sig"), mtime=0)),
        ("a.csv", ("sep=;\r\n" + CSV.replace(",", ";")).encode("utf-8-sig")),
        ("a.tsv", CSV.replace(",", "\t").encode()),
        ("a.tab.gz", gzip.compress(CSV.replace(",", "\t").encode(), mtime=0)),
        ("a.csv", ("\n\n" + CSV).encode()),
        ("a.csv", CSV.replace("\n", ",,\n").encode()),
        ("a.csv", CSV.replace("\n", "\r").encode()),
        ("a.json", json.dumps([ROW]).encode()),
        ("a.json", json.dumps([ROW], indent=2).encode("utf-16")),
        ("a.json.gz", gzip.compress(json.dumps([ROW]).encode(), mtime=0)),
        ("a.jsonl", json.dumps([ROW]).encode()),
        ("a.json", lines(ROW).encode()),
        ("a.ndjson", lines(ROW).encode("utf-8-sig")),
    ],
)
def test_every_form_of_a_file_gives_the_same_posting(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (posting,) = read(tmp_path / name).postings.to_dict("records")
    assert [posting[field] for field in FIELDS if field != "event_timestamp"] == [
        text for name, text in ROW.items() if name != "when"
    ]


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (CSV.replace(",", ";").encode(), "one column, 'id;when;board;title;text'"),
        (CSV.replace(",", "\t").encode(), "one column"),
        (CSV.replace(",", "|").encode(), "one column"),
        (CSV.replace("text", "texte d\u00e9taill\u00e9").encode("cp1252"), "header .* is not utf-8 text"),
        (CSV.encode("utf-16-le"), "begins with NUL bytes"),
        (CSV.encode("utf-16-be"), "begins with NUL bytes"),
    ],
)
def test_a_refusal_names_what_was_seen_and_a_setting_that_works(tmp_path: Path, content: bytes, seen: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=seen) as refused:
        read(path)
    advice = re.search(
        r"set `(\w+: [^`]+)` in the mapping|set `(encoding)` in the mapping, such as", str(refused.value)
    )
    assert advice is not None
    setting = yaml.safe_load(advice[1]) if advice[1] else {advice[2]: str(refused.value)[:-1].rpartition("as ")[2]}
    column = FileSource(path, **setting).columns[4]
    assert len(read(path, {"description": column}, **setting).postings) == 1


def test_rows_in_another_encoding_are_refused_with_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.replace(",", ";").encode("cp1252"))
    admission = read(path, delimiter=";")
    (reason,) = admission.quarantine.reasons
    assert reason.startswith("row: not utf-8 text")
    assert "`encoding`" in reason
    assert len(read(path, delimiter=";", encoding="cp1252").postings) == 1


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"\xef\xbb\xbf\n\n", "a.csv is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "a.csv.gz is empty"),
        ("a.json", b" \n", "a.json has no rows"),
        ("a.json", b"[]", "a.json has no rows"),
        ("a.json", b'{"rows":\n [1]}', "holds one object over several lines"),
        ("a.jsonl", b"nothing\n", "None of the first rows of .*: line 1 is not JSON"),
        ("a.csv", b"PAR1" + bytes(50), "is a Parquet file; give it a name that ends with .parquet"),
        ("a.csv", b"PK\x03\x04" + bytes(50), "is a workbook or another zip archive"),
        ("a.csv", CSV.replace("board", "title").encode(), "has the column title twice"),
        ("a.csv", (CSV + 'w-2,2026-01-05,b,"t,x\nw-3,2026-01-05,b,t,x\n').encode(), "begins in line 3 opens a quote"),
        ("a.csv", (CSV + 'w-2,2026-01-05,b,"' + "x" * 17_000_000).encode(), "begins in line 3. Look for a quote"),
        ("a.csv", CSV.encode("utf-16")[:-1], "cannot be read after line"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / name)


def test_quotes_inside_of_cells_are_no_open_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV + 'w-2,2026-01-05,b,5" pipe,x')
    assert list(read(tmp_path / "a.csv").postings.title) == ["Sjuksköterska", '5" pipe']


NESTED = {
    "id": "n-0", "when": "2026-01-05T08:00:00", "board": "b", "title": "Förare", "kind": ["full_time"],
    "employer": {"name": "Bolag AB", "contact": {"email": "jobb@bolag.example"}},
    "must_have": [{"label": "C-körkort"}, {"label": "YKB"}], "text": {"text": "Vi söker en förare.", "html": None},
    "places": ["Lund", "Malmö"],
}  # fmt: skip
PATHS = {
    "description": {"columns": ["text.text", "must_have.label"], "combine": "join"},
    "company": "employer.name", "location": "places", "category": "must_have.1.label", "employment_type": "kind.0",
}  # fmt: skip


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_nested_rows_are_read_by_paths(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([NESTED]), path)
    else:
        path.write_text(lines(NESTED) if ending == "jsonl" else json.dumps([NESTED]))
    admission = read(path, PATHS)
    (posting,) = admission.postings.to_dict("records")
    assert (posting["company"], posting["location"], posting["category"]) == ("Bolag AB", "Lund\nMalmö", "YKB")
    assert (posting["description"], posting["employment_type"]) == (
        "Vi söker en förare.\nC-körkort\nYKB",
        "full_time",
    )
    assert admission.schema_diff.new == ("employer.contact", "text.html")


def test_an_object_where_text_is_wanted_is_a_defect_of_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(NESTED, NESTED | {"id": "n-1", "text": "plain", "employer": "Bolag AB", "places": [["x"]]}))
    admission = read(path, {"company": "employer", "description": PATHS["description"], "location": "places"})
    assert dict(admission.quarantine.reasons) == {
        "company: an object where text is wanted; map a part of it, such as employer.name": 1,
        "location: an object where text is wanted; map a part of it, such as places.0": 1,
    }
    with pytest.raises(MappingError, match=r"no column employer\.nam, .* Did you mean employer\.name\?"):
        read(path, {"company": "employer.nam"})


def test_rows_that_break_parsers_are_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    deep = "[" * 5_000 + "]" * 5_000
    path.write_text(
        lines(ROW)
        + r'{"text": "jobs\u0040acme.example", ' + "\n"
        + "".join(f'{{"id":"{n}","x":{"[" * n}{"]" * n}}}\n' for n in (40, 900))
        + f'{{"id":"u-2","x":{deep}}}\n'
        + '{"id":"","title":"half a pair, nested","extra":{"a":"\\ud83d"}}\n'
        + '{"id":"u-4","title":"half a pair \\udc00"}\n{"id":"u-5","n":' + "9" * 5_000 + "}\n"
    )  # fmt: skip
    admission = read(path)
    assert len(admission.postings) == 1
    assert dict(admission.quarantine.reasons) == {
        "row: more than 32 objects and lists inside each other": 3,
        "row: not text: half of a surrogate pair": 2,
        "row: not JSON": 2,
    }
    assert b"acme" not in (admission.quarantine.content() or b"")
    store = FolderStore(tmp_path / "objects")
    assert [row["line"] for row in read_quarantine(store, admission.quarantine.write_refused(store))] == [*range(2, 9)]


def test_the_quarantine_survives_text_that_cannot_be_encoded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([ROW, ROW | {"id": "", "extra": {"a": "\ud83d"}}]))
    admission = read(path)
    store = FolderStore(tmp_path / "objects")
    assert len(read_quarantine(store, admission.quarantine.write_refused(store))) == 1


def test_binary_columns_of_parquet_are_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {name: [text.encode(), text.encode()] for name, text in ROW.items()}
    columns |= {"id": [b"w-1", b"w-2"], "text": [ROW["text"].encode(), b"V\xe5rd"]}
    pq.write_table(pa.table({**columns, "tags": [[b"x"], [b"\xe5"]]}), path)
    admission = read(path, {"category": "tags"})
    assert list(admission.postings.title) == ["Sjuksköterska"]
    assert list(admission.postings.category) == ["x"]
    (reason,) = admission.quarantine.reasons
    assert reason.startswith("row: not utf-8 text")


def test_maps_of_parquet_have_parts_and_names_are_there_once(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    kinds = pa.array([[("where", "Lund")]], pa.map_(pa.string(), pa.string()))
    table = pa.table({**{name: [text] for name, text in ROW.items()}, "place": kinds})
    pq.write_table(table, path)
    (reason,) = read(path, {"location": "place"}).quarantine.reasons
    assert "an object where text is wanted; map a part of it, such as place.where" in reason
    assert list(read(path, {"location": "place.where"}).postings.location) == ["Lund"]
    pq.write_table(table.append_column("title", [["again"]]), path)
    with pytest.raises(UserError, match="has the column title twice"):
        read(path)


def test_times_of_parquet_outside_the_calendar_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({**{k: [v] for k, v in ROW.items()}, "when": pa.array([2**60], pa.timestamp("ms"))}), path)
    with pytest.raises(UserError, match="cannot be read after line 1"):
        read(path)


TICKETS = "text,label,date\nNo paper; call +48 600 100 200,hardware,2026-02-01\nNo ink,hardware,2026-02-01\n"
TICKET_FIELDS = {"event_timestamp": "date", "board": {"constant": "b"}, "title": {"constant": "t"}, "label": "label"}


def test_rows_without_an_identifier_are_named_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TICKETS + "No paper; call +48 600 100 200,,2026-02-01\nNo ink,hardware,2026-02-02\n,x,\n")
    admission = read(path, TICKET_FIELDS | {"posting_id": {"hash": ["text", "date"]}})
    ids = list(admission.postings.posting_id)
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert dict(admission.quarantine.reasons) == {
        "posting_id: already in this batch": 1,
        "posting_id: missing": 1,
    }
    assert b"600 100 200" not in (admission.quarantine.content() or b"")
    path.write_text("date,text,label\n2026-02-01,No ink,hardware\n")
    again = read(path, TICKET_FIELDS | {"posting_id": {"hash": ["text", "date"]}})
    assert list(again.postings.posting_id) == ids[1:2]


def test_rows_without_an_identifier_are_named_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TICKETS + ",x,\nNo ink,hardware,2026-02-01\n")
    admission = read(path, TICKET_FIELDS | {"posting_id": {"row": True}})
    assert list(admission.postings.posting_id) == ["row-1", "row-2", "row-4"]
    with pytest.raises(MappingError, match="exactly one of column, columns, hash, row"):
        read(path, TICKET_FIELDS | {"posting_id": {"row": True, "column": "text"}})
    with pytest.raises(MappingError, match=r"posting_id\.hahs does not exist\. Did you mean hash\?"):
        read(path, TICKET_FIELDS | {"posting_id": {"hahs": ["text"]}})


def test_texts_with_labels_and_nothing_else_are_read(emscad_file: Path) -> None:
    made_up = {"sequence": {"start": "2014-01-01T00:00:00Z", "step_minutes": 60}}
    fields = TICKET_FIELDS | {"event_timestamp": made_up, "label": "fraudulent"}
    for posting_id, repeats in (({"row": True}, 0), ({"hash": ["text"]}, 4)):
        admission = read(emscad_file.with_name("balanced_train.csv"), fields | {"posting_id": posting_id})
        assert (len(admission.postings), len(admission.quarantine)) == (1_399 - repeats, repeats)
        assert set(admission.postings.label) == {"0", "1"}


MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def write_workbook(path: Path, sheets: dict[str, list[list[str | int]]]) -> None:
    """The least that the format asks for; empty rows stay where they are."""

    def cell(value: str | int) -> str:
        return f"<c><v>{value}</v></c>" if isinstance(value, int) else f'<c t="str"><v>{value}</v></c>'

    numbered = list(enumerate(sheets.items(), start=1))
    with zipfile.ZipFile(path, "w") as archive:
        main = f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{RELATIONS}">{main}</Relationships>')
        listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, (name, _) in numbered)
        archive.writestr("xl/workbook.xml", f'<workbook {MAIN} xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>')
        targets = "".join(
            f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/s{n}.xml"/>' for n, _ in numbered
        )
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{RELATIONS}">{targets}</Relationships>')
        for n, (_, rows) in numbered:
            data = "".join(f'<row r="{m}">{"".join(map(cell, row))}</row>' for m, row in enumerate(rows, 1) if row)
            content = f"<worksheet {MAIN}><sheetData>{data}</sheetData></worksheet>"
            archive.writestr(f"xl/worksheets/s{n}.xml", content)


def test_sheets_of_workbooks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    rows: list[list[str | int]] = [[], [*ROW, "code"], [*ROW.values(), 251401], [], ["", *[*ROW.values()][1:], 7]]
    write_workbook(path, {"Jobs": rows})
    admission = read(path, {"label": "code"})
    assert list(admission.postings.label) == ["251401"]
    assert list(admission.postings.title) == [ROW["title"]]
    (kept_out,) = (json.loads(line) for line in (admission.quarantine.content() or b"").splitlines())
    assert (kept_out["line"], kept_out["field"]) == (5, "posting_id")


def test_workbooks_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_workbook(path, {"Notes": [["x"]], "Jobs": [[*ROW], [*ROW.values()]]})
    for settings in ({}, {"sheet": "jobs"}):
        with pytest.raises(UserError, match=r"Set `sheet` in the mapping; the sheets of .* are: Notes, Jobs\."):
            read(path, **settings)
    assert len(read(path, sheet="Jobs").postings) == 1
    write_workbook(path, {"Jobs": []})
    with pytest.raises(UserError, match=r"a\.xlsx is empty"):
        read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="is not a workbook that can be read"):
        read(path)
