"""Writes streams of postings to files, frame by frame: memory does not grow with their number."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow.parquet as pq

from plumbline.data.contract import POSTING_COLUMNS, POSTING_SCHEMA
from plumbline.data.frames import to_table
from plumbline.data.generator.raw import to_raw
from plumbline.errors import UserError
from plumbline.files import atomic_write

FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")


def write_frames(frames: Iterable[pd.DataFrame], path: Path) -> int:
    """Writes frames of postings; the format follows from the file's name.

    The file appears under its name once it is whole.

    Args:
        frames: Frames of postings.
        path: File to write; its folder is made where it is missing.

    Returns:
        Number of rows written.

    Raises:
        UserError: The name has none of the known endings.
    """
    name = path.name.lower()
    if not name.endswith(FORMATS):
        raise UserError(f"The format of {path.name} is unknown; give a name that ends with {', '.join(FORMATS)}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"{path.parent} cannot be made a folder ({error.strerror}). Give another --out.") from error
    with atomic_write(path) as partial:
        return _parquet(frames, partial) if name.endswith(".parquet") else _text(frames, partial)


def _parquet(frames: Iterable[pd.DataFrame], path: Path) -> int:
    rows = 0
    with pq.ParquetWriter(path, POSTING_SCHEMA, compression="zstd") as writer:
        for frame in frames:
            writer.write_table(to_table(frame).replace_schema_metadata(None))
            rows += len(frame)
    return rows


def _text(frames: Iterable[pd.DataFrame], path: Path) -> int:
    rows = 0
    with ExitStack() as opened:
        file: Any = opened.enter_context(path.open("wb"))
        if path.name.lower().endswith(".gz"):
            # Without a time and a name in its head the file depends on the postings alone.
            file = opened.enter_context(gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0, compresslevel=6))
        text: IO[str] = opened.enter_context(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        as_csv = path.name.lower().endswith((".csv", ".csv.gz"))
        writer = csv.DictWriter(text, POSTING_COLUMNS)
        if as_csv:
            writer.writeheader()
        for frame in frames:
            records = to_raw(frame)
            if as_csv:
                writer.writerows(records)
            else:
                text.writelines(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)
            rows += len(frame)
    return rows
