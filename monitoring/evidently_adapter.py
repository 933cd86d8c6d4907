"""Evidently's measurements: drift per column, and the page to look at. `evidently_workspace` keeps its runs.

Evidently's scores use the same formula as the tests of this package (a test holds them together); what counts as
drift is decided by thresholds that were learnt from the reference, which Evidently is given as its own.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from monitoring.opening import Opening

_METHOD = "jensenshannon"


@dataclass(frozen=True)
class ReportColumns:
    """Columns of a report by how Evidently reads them.

    Attributes:
        categorical: Compared by values.
        numeric: Compared by bins.
        nulls: Counted where empty.
        first: The columns that the page shows first, in this order.
    """

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    nulls: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    @property
    def every(self) -> list[str]:
        """Each column once."""
        return list(dict.fromkeys([*self.categorical, *self.numeric, *self.nulls]))


@dataclass(frozen=True)
class EvidentlyReport:
    """One comparison.

    Attributes:
        scores: Per column, the drift that Evidently measured and the method it used.
        snapshot: Evidently's own object.
    """

    scores: dict[str, dict[str, Any]]
    snapshot: Any

    def html(self) -> bytes:
        """The page, whole: it loads nothing."""
        with tempfile.TemporaryDirectory(prefix="plumbline-report-") as folder:
            path = Path(folder) / "page.html"
            self.snapshot.save_html(str(path))
            return path.read_bytes()


def compare(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    columns: ReportColumns,
    *,
    thresholds: Mapping[str, float],
    name: str = "",
    opening: Opening | None = None,
    at: datetime | None = None,
    about: Mapping[str, str] | None = None,
) -> EvidentlyReport:
    """Compares two frames column by column.

    Args:
        current: The window.
        reference: What it is compared with.
        columns: What to compare.
        thresholds: Score from which a column has drifted; columns without one get Evidently's default.
        name: Name of the run in Evidently's pages.
        opening: What the page begins with, and the figures for the project's panels.
        at: Instant that the run stands at in them; now by default.
        about: What the run is about, shown beside its name.
    """
    import_quietly()
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import MissingValueCount, ValueDrift

    usable = _comparable(current, reference, columns)
    definition = DataDefinition(
        categorical_columns=list(dict.fromkeys([*usable.categorical, *usable.nulls])),
        numerical_columns=list(usable.numeric),
    )
    metrics: list[Any] = [
        ValueDrift(column=column, method=_METHOD, threshold=thresholds.get(column))
        for column in _ordered((*usable.categorical, *usable.numeric), columns.first)
    ]
    metrics += [MissingValueCount(column=column) for column in _ordered(usable.nulls, columns.first)]
    beside: dict[str, pd.DataFrame] = {}
    if opening is not None:
        from monitoring.evidently_figures import WindowFigures, additional_data

        metrics.insert(0, WindowFigures())
        beside = additional_data(opening)
    sides = [Dataset.from_pandas(_plain(frame, usable), data_definition=definition) for frame in (current, reference)]
    snapshot = Report(metrics, include_tests=True).run(
        *sides,
        additional_data=beside,
        # Evidently's pages compare it with instants that have no zone.
        timestamp=None if at is None else at.astimezone(UTC).replace(tzinfo=None),
        metadata=dict(about or {}),
        name=name or None,
    )
    scores: dict[str, dict[str, Any]] = {}
    for metric in snapshot.dict()["metrics"]:
        config = metric["config"]
        if config["type"].endswith("ValueDrift"):
            method = config.get("method") or str(metric["metric_name"]).partition("method=")[2].partition(",")[0]
            scores[config["column"]] = {"score": float(metric["value"]), "method": method}
    return EvidentlyReport(scores, snapshot)


def _comparable(current: pd.DataFrame, reference: pd.DataFrame, columns: ReportColumns) -> ReportColumns:
    """Columns with a value on both sides: Evidently raises on the others, which the null tests speak of."""

    def with_values(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            name
            for name in names
            if name in current and name in reference and current[name].notna().any() and reference[name].notna().any()
        )

    known = tuple(name for name in columns.nulls if name in current and name in reference)
    return ReportColumns(with_values(columns.categorical), with_values(columns.numeric), known)


def _ordered(names: tuple[str, ...], first: tuple[str, ...]) -> list[str]:
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def _plain(frame: pd.DataFrame, columns: ReportColumns) -> pd.DataFrame:
    plain = frame[columns.every].reset_index(drop=True)
    for column in plain.columns:
        if column not in columns.numeric:
            plain[column] = plain[column].astype(object).where(plain[column].notna(), None)
    return plain


def import_quietly() -> None:
    """Imports Evidently without the warnings of the libraries below it, and with its telemetry off."""
    # Evidently reports its use over the network unless told not to; it reads this when it is imported.
    os.environ["DO_NOT_TRACK"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("evidently")
        importlib.import_module("evidently.ui.workspace")
