"""Reads files of postings row by row, each row with its place."""

from plumbline.data.reading.nested import NotText
from plumbline.data.reading.rows import IterableSource, RawRow, RowSource
from plumbline.data.reading.source import FORMATS, FileSource

__all__ = ["FORMATS", "FileSource", "IterableSource", "NotText", "RawRow", "RowSource"]
