from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from posting_rows import postings

from plumbline.data.generator.raw import to_raw
from plumbline.data.reading import FileSource
from plumbline.data.writing import FORMATS, write_frames
from plumbline.errors import MissingInputError, UserError


def test_lines_are_physical_lines_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"one\ntwo\r\nthree"\n\n2,b\n3,"c\nd"\n4,e\n', newline="")
    assert [(row.line, row.values["id"]) for row in FileSource(path).rows()] == [(2, "1"), (6, "2"), (7, "3"), (9, "4")]
    assert next(FileSource(path).rows()).values["text"] == "one\ntwo\r\nthree"


def test_rows_that_cannot_be_read_come_with_their_defect(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        "id,text\n1,a\n2\n3,c,d,e\n4,\N{LATIN SMALL LETTER Z WITH DOT ABOVE}\n".encode() + b"5,\xbf\xff\n6,\0\n"
    )
    rows = list(FileSource(path).rows())
    assert [(row.line, row.defect) for row in rows] == [
        (2, None),
        (3, "1 cell under a header of 2"),
        (4, "4 cells under a header of 2"),
        (5, None),
        (6, "not utf-8 text; if many rows are not, set `encoding` in the mapping (cp1252, say)"),
        (7, None),
    ]
    assert rows[2].values == {"id": "3", "text": "c", "(beyond the header)": "d,e"}
    assert rows[4].values["text"] == "??"


def test_other_encodings_and_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id;text\n1;żółć\n".encode("cp1250"))
    assert next(FileSource(path, encoding="cp1250", delimiter=";").rows()).values == {"id": "1", "text": "żółć"}
    with pytest.raises(UserError, match="encoding utf8000 does not exist"):
        FileSource(path, encoding="utf8000")


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfid,text\n1,a\n")
    assert FileSource(path).columns == ("id", "text")


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        json.dumps({"id": 1, "t": "ż", "x": None, "ok": True}),
        "",
        "{",
        "[1]",
        json.dumps({"id": 2.5, "new": "n"}),
    ]
    path.write_text("\n".join(lines))
    source = FileSource(path)
    rows = list(source.rows())
    assert source.columns == ("id", "t", "x", "ok", "new")
    assert [(row.line, row.defect) for row in rows] == [(1, None), (3, "not JSON"), (4, "not a JSON object"), (5, None)]
    assert rows[0].values == {"id": "1", "t": "ż", "x": None, "ok": "true"}


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    frame = postings(7)
    path = tmp_path / "deep" / f"a{ending}"
    assert write_frames([frame.head(3), frame.tail(4)], path) == 7
    rows = [row.values for row in FileSource(path).rows()]
    assert [{name: text or "" for name, text in row.items()} for row in rows] == to_raw(frame)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> object:
        yield postings(2)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        write_frames(broken(), tmp_path / "a.csv.gz")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"\.parquet"):
        write_frames([], tmp_path / "a.xlsx")


def test_files_that_cannot_be_read_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none\.csv is not a file"):
        FileSource(tmp_path / "none.csv")
    with pytest.raises(MissingInputError):
        FileSource(tmp_path)
    for name, content, sentence in (
        ("a.xls", b"x", "format of a.xls is unknown"),
        ("empty.csv", b"", "is empty"),
        ("empty.jsonl", b"\n", "has no rows"),
        ("twice.csv", b"id,id\n1,2\n", "column id twice"),
        ("a.csv.gz", b"not gzip", "cannot be read after line 1"),
        ("a.parquet", b"not parquet", "not a Parquet file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=sentence):
            FileSource(tmp_path / name)


def test_a_torn_file_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    write_frames([postings(3000)], path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = FileSource(path)
    with pytest.raises(UserError, match=r"cannot be read after line \d{3,}"):
        list(source.rows())
    assert gzip.compress(b"x") != whole


def test_parquet_values_become_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"code": [251401.0, None], "day": pd.to_datetime(["2026-01-05", None]), "n": [1, 2]}).to_parquet(path)
    rows = list(FileSource(path).rows())
    assert rows[0].values == {"code": "251401.0", "day": "2026-01-05T00:00:00", "n": "1"}
    assert (rows[1].line, rows[1].values["code"], rows[1].values["day"]) == (2, None, None)
