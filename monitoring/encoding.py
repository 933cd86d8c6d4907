"""Turns postings into one sparse matrix, so that every test of every window is a product with row weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from monitoring.policy import DriftPolicy

Kind = Literal["distribution", "text", "null_share", "unseen", "confidence", "accuracy"]
Group = Literal["inputs", "labels", "answers", "quality"]
GROUPS: tuple[Group, ...] = ("inputs", "labels", "answers", "quality")
"""Tests that are calibrated together, because they are made on the same rows."""

_BINS = 10
_FREQUENT_WORDS = 1000
_MOST_CHARACTERS = 4000
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Comparison:
    """One comparison of a window with the reference.

    Attributes:
        name: Kind and column, unique in a policy.
        kind: What is compared.
        column: Column of the postings (or `prediction`, `probability`, `label`).
        group: `labels` are made on rows whose label has arrived, `answers` on rows that the model was not fitted
            on, `quality` on rows that are both.
        at_equal_mix: Compared after giving the reference the window's mix of strata.
        start: First column of the test in the matrix.
        stop: One past its last column.
    """

    name: str
    kind: Kind
    column: str
    group: Group
    at_equal_mix: bool
    start: int
    stop: int


@dataclass
class Encoded:
    """Rows as numbers.

    Attributes:
        mass: Sparse (rows, width); the columns of each test lie side by side.
        items: Per `unseen` test, sparse (rows, values): how often the row has each value; the last column
            counts values that the reference never had.
    """

    mass: sparse.csr_matrix
    items: dict[str, sparse.csr_matrix]

    def take(self, rows: np.ndarray) -> Encoded:
        """Only the given rows."""
        return Encoded(self.mass[rows], {name: items[rows] for name, items in self.items.items()})


@dataclass
class Encoder:
    """Learns categories, bins and words from the reference, and encodes any frame with them."""

    policy: DriftPolicy
    tests: list[Comparison] = field(default_factory=list)
    _categories: dict[str, dict[str, int]] = field(default_factory=dict)
    _edges: dict[str, np.ndarray] = field(default_factory=dict)
    _words: dict[str, dict[str, int]] = field(default_factory=dict)
    _frequent: dict[str, np.ndarray] = field(default_factory=dict)

    def fit_transform(self, reference: pd.DataFrame) -> Encoded:
        """Learns from the reference and encodes it.

        Args:
            reference: Postings with derived columns; `prediction`, `probability` and `label` where known,
                null where the model was fitted on the row.
        """
        columns = self.policy.columns
        for column in (*columns.categorical, *self._outcomes(reference)):
            values = reference[column].dropna().astype(str).unique()
            self._categories[column] = {value: code for code, value in enumerate(sorted(values))}
        for column in columns.numeric:
            values = reference[column].dropna().to_numpy(dtype=float)
            inner = np.quantile(values, np.linspace(0, 1, _BINS + 1)) if len(values) else np.zeros(1)
            # The outermost edges are the reference's range: what lies outside has bins of its own.
            inner[-1] = np.nextafter(inner[-1], np.inf)
            self._edges[column] = np.unique(inner)
        for column in columns.text:
            self._fit_words(column, reference[column])
        self._lay_out(reference)
        return self.transform(reference)

    def transform(self, frame: pd.DataFrame) -> Encoded:
        """Encodes a frame with the columns that were fitted."""
        blocks: list[sparse.csr_matrix] = []
        items: dict[str, sparse.csr_matrix] = {}
        words = {column: self._count_words(column, frame[column]) for column in self.policy.columns.text}
        for test in self.tests:
            if test.kind == "unseen":
                counts = words.get(test.column)
                counts = self._one_hot(test.column, frame[test.column]) if counts is None else counts
                items[test.name] = counts
                blocks.append(sparse.csr_matrix(counts.sum(axis=1)))
            elif test.kind == "text":
                blocks.append(self._frequent_words(test.column, words[test.column]))
            elif test.kind == "distribution":
                blocks.append(self._distribution(test.column, frame[test.column]))
            else:
                blocks.append(sparse.csr_matrix(self._mean_columns(test, frame)))
        return Encoded(sparse.hstack(blocks, format="csr", dtype=np.float32), items)

    def _outcomes(self, reference: pd.DataFrame) -> list[str]:
        wanted = ["prediction"] * self.policy.predictions + ["label"] * self.policy.labels
        return [column for column in wanted if column in reference and reference[column].notna().any()]

    def _lay_out(self, reference: pd.DataFrame) -> None:
        columns = self.policy.columns
        outcomes = self._outcomes(reference)
        plan: list[tuple[Kind, str, Group, int]] = []
        for column in columns.categorical:
            plan.append(("distribution", column, "inputs", len(self._categories[column]) + 1))
            plan.append(("unseen", column, "inputs", 1))
        plan += [("distribution", column, "inputs", len(self._edges[column]) + 1) for column in columns.numeric]
        for column in columns.text:
            plan.append(("text", column, "inputs", len(self._frequent[column]) + 1))
            plan.append(("unseen", column, "inputs", 1))
        plan += [("null_share", column, "inputs", 2) for column in columns.nulls]
        if "label" in outcomes:
            plan.append(("distribution", "label", "labels", len(self._categories["label"]) + 1))
        if "prediction" in outcomes:
            plan.append(("distribution", "prediction", "answers", len(self._categories["prediction"]) + 1))
            plan.append(("confidence", "probability", "answers", 2))
            if "label" in outcomes:
                plan.append(("accuracy", "label", "quality", 2))
        start = 0
        for kind, column, group, width in plan:
            equal_mix = self.policy.stratify_by is not None and column != self.policy.stratify_by
            at_equal_mix = equal_mix and kind != "accuracy"
            self.tests.append(Comparison(f"{kind}:{column}", kind, column, group, at_equal_mix, start, start + width))
            start += width

    def _one_hot(self, column: str, values: pd.Series) -> sparse.csr_matrix:
        known = self._categories[column]
        codes = values.astype("object").map(lambda value: known.get(str(value), len(known)), na_action="ignore")
        rows = np.flatnonzero(codes.notna().to_numpy())
        picked = codes.to_numpy()[rows].astype(np.int64)
        return _matrix(rows, picked, np.ones(len(rows)), (len(values), len(known) + 1))

    def _distribution(self, column: str, values: pd.Series) -> sparse.csr_matrix:
        if column in self._categories:
            return self._one_hot(column, values)
        edges = self._edges[column]
        numbers = values.to_numpy(dtype=float)
        rows = np.flatnonzero(~np.isnan(numbers))
        bins = np.digitize(numbers[rows], edges)
        return _matrix(rows, bins, np.ones(len(rows)), (len(values), len(edges) + 1))

    def _fit_words(self, column: str, texts: pd.Series) -> None:
        counts: dict[str, int] = {}
        for text in texts.fillna(""):
            for word in _words_of(text):
                counts[word] = counts.get(word, 0) + 1
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        self._words[column] = {word: code for code, word in enumerate(ordered)}
        self._frequent[column] = np.arange(min(_FREQUENT_WORDS, len(ordered)))

    def _count_words(self, column: str, texts: pd.Series) -> sparse.csr_matrix:
        known = self._words[column]
        unknown = len(known)
        rows: list[int] = []
        codes: list[int] = []
        for row, text in enumerate(texts.fillna("")):
            found = [known.get(word, unknown) for word in _words_of(text)]
            codes += found
            rows += [row] * len(found)
        return _matrix(np.asarray(rows), np.asarray(codes), np.ones(len(rows)), (len(texts), unknown + 1))

    def _frequent_words(self, column: str, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        frequent = counts[:, self._frequent[column]]
        other = sparse.csr_matrix(counts.sum(axis=1) - frequent.sum(axis=1))
        return sparse.hstack([frequent, other], format="csr")

    @staticmethod
    def _mean_columns(test: Comparison, frame: pd.DataFrame) -> np.ndarray:
        """Value and weight of each row, shape (rows, 2): their sums give a weighted mean."""
        if test.kind == "null_share":
            missing = frame[test.column].isna().to_numpy(dtype=float)
            return np.column_stack([missing, np.ones(len(frame))])
        if test.kind == "confidence":
            value = frame["probability"].to_numpy(dtype=float)
        else:
            known = frame["label"].notna() & frame["prediction"].notna()
            same = frame["label"].astype("string") == frame["prediction"].astype("string")
            value = same.fillna(value=False).astype(float).where(known).to_numpy()
        known_rows = ~np.isnan(value)
        return np.column_stack([np.nan_to_num(value), known_rows.astype(float)])


def _words_of(text: str) -> set[str]:
    return set(_WORD.findall(text[:_MOST_CHARACTERS].lower()))


def _matrix(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((values.astype(np.float32), (rows.astype(np.int64), columns.astype(np.int64))), shape)
