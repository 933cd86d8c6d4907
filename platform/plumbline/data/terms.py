"""Texts with known labels (a thesaurus of occupation titles) that lie beside a file of postings."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from plumbline.data.mapping.load import nearest, open_file
from plumbline.data.mapping.model import LabelField, Mapping
from plumbline.data.mapping.parsers import label_reader
from plumbline.data.mapping.times import UnreadableError
from plumbline.data.reading import FileSource
from plumbline.errors import MappingError


def read_label_terms(data: Path, mapping: Mapping) -> pd.DataFrame | None:
    """Reads the terms that the mapping names, where their file lies beside the data.

    Terms whose code is outside the label's allowed codes are left out: they belong to no class.

    Args:
        data: The file of postings.
        mapping: Its mapping.

    Returns:
        Columns `text` and `label`, without repeats; None where the mapping names no file or it is not there.

    Raises:
        MappingError: The file has not the columns that the mapping names.
    """
    wanted = mapping.label_terms
    if wanted is None or mapping.fields.label is None:
        return None
    path = data.parent / wanted.file
    if not path.is_file():
        return None
    source = open_file(path, mapping)
    for column in (wanted.text, wanted.label):
        if column not in source.columns:
            near = nearest(column, source.columns)
            hint = f" Did you mean {near}?" if near else ""
            raise MappingError(f"{path} has no column {column}, which label_terms names.{hint}")
    label = mapping.fields.label.model_copy(update={"column": wanted.label, "columns": None})
    return _terms(source, label, wanted.text, wanted.separator)


def _terms(source: FileSource, label: LabelField, column: str, separator: str | None) -> pd.DataFrame:
    read = label_reader(label)
    found: dict[tuple[str, str], None] = {}
    # A separator inside brackets belongs to the term.
    split = re.compile(rf"{re.escape(separator)}(?![^()]*\))") if separator is not None else None
    for row in source.rows():
        try:
            code = None if row.defect is not None else read(row.values)
        except UnreadableError:
            code = None
        text = row.values.get(column)
        if code is None or text is None:
            continue
        for term in split.split(text) if split is not None else [text]:
            if term.strip():
                found[" ".join(term.split()), code] = None
    return pd.DataFrame(list(found), columns=["text", "label"])
