"""Opens text files: plain or gzip, with or without a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
from pathlib import Path
from typing import Any

from plumbline.errors import UserError

_GZIP = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = ((b"PAR1", "a Parquet file", ".parquet"), (b"PK\x03\x04", "a workbook or another zip archive", ".xlsx"))
_HEAD = 64


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """Opens a file for reading; its `encoding` is the one that a byte order mark says, or the given one.

    Bytes that are not text become surrogates: their row is refused with its line, and the rest is read.

    Raises:
        UserError: The encoding does not exist, or the file is evidently in another one, or of another format.
    """
    with path.open("rb") as file:
        zipped = path.name.lower().endswith(".gz") or file.read(2) == _GZIP

    def open_bytes() -> Any:
        return gzip.GzipFile(path) if zipped else path.open("rb")

    with open_bytes() as file:
        head = file.read(_HEAD)
    return io.TextIOWrapper(
        open_bytes(), encoding=_encoding(path, head, encoding), errors="surrogateescape", newline=""
    )


def _encoding(path: Path, head: bytes, given: str) -> str:
    for sign, kind, ending in _OTHERS:
        if head.startswith(sign):
            raise UserError(f"{path} is {kind}; give it a name that ends with {ending}.")
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    try:
        "".encode(given)
    except (LookupError, ValueError) as error:
        raise UserError(f"The encoding {given} does not exist; try utf-8 or cp1250.") from error
    if b"\0" in head[:2] and codecs.lookup(given).name == "utf-8":
        order = "be" if head[:1] == b"\0" else "le"
        raise UserError(
            f"{path} begins with NUL bytes, as UTF-16 without a byte order mark does; "
            f"set `encoding: utf-16-{order}` in the mapping."
        )
    return given


def is_text(cells: list[str]) -> bool:
    """Whether all bytes of some cells were text."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """The text with a question mark for every byte that was not text."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def not_text(encoding: str) -> str:
    """The defect of a row that is not in the file's encoding."""
    return (
        f"not {encoding.removesuffix('-sig')} text; if many rows are not, set `encoding` in the mapping (cp1252, say)"
    )
