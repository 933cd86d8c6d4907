"""What Evidently's pages of a project show: panels over the windows' figures, and pages that begin with what moved."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from monitoring.alerting import Evidence
from monitoring.detector import Finding
from monitoring.evidence import Slice
from monitoring.evidently_adapter import EvidentlyReport, ReportColumns, compare, import_quietly
from monitoring.evidently_workspace import FolderWorkspace
from monitoring.opening import ACCURACY, LABELLED, OVER_LIMIT, POSTINGS, REFERENCE_ACCURACY, WITHIN_LIMIT, opening_of
from monitoring.window import Window

WINDOW = Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))


def _finding(name: str, value: float | None, limit: float, *, usual: float = 0.0) -> Finding:
    kind, _, column = name.partition(":")
    breached = value is not None and value >= limit
    return Finding(name, kind, column, "a statistic", value, usual, limit, value, breached)


FINDINGS = [
    _finding("unseen:title", 0.7, 0.1),
    _finding("distribution:board", 0.2, 0.1),
    _finding("distribution:language", 0.05, 0.1),
    _finding("accuracy:label", None, 0.1),
]
SLICES = [Slice("board=a", 30, 0.8)]


def _frame(labels: list[str | None], predictions: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "prediction": predictions})


def _opening(labels: list[str | None]):
    window = _frame(labels, ["1"] * len(labels))
    reference = _frame(["1", "1", "2", "2"], ["1", None, "2", "2"])
    return opening_of(FINDINGS, window, reference, window=WINDOW, version="3", evidence=Evidence(WINDOW.start, SLICES))


def _report(labels: list[str | None], at: datetime) -> EvidentlyReport:
    frame = pd.DataFrame({"board": ["a", "b"] * 40, "title_new_words": [0.0, 0.5] * 40})
    columns = ReportColumns(("board",), ("title_new_words",), first=("title_new_words", "board"))
    return compare(frame, frame, columns, thresholds={}, name="a window", opening=_opening(labels), at=at)


def test_the_most_important_comes_first_and_then_where_and_since_when() -> None:
    opening = _opening(["1", "2", None])
    assert opening.title == "2 of 3 tests are beyond their limits"
    assert opening.words.index("words of title") < opening.words.index("board moved")
    assert "3 postings of 2026-03-02 to 2026-03-16, 2 of them labelled so far" in opening.words
    assert "Since 2026-03-02. Mostly in: board=a (80% of the change)." in opening.words
    assert [row[0] for row in opening.rows] == [
        "a statistic: title",
        "a statistic: board",
        "a statistic: language",
    ]
    assert [row[-1] for row in opening.rows] == ["700%", "200%", "50%"]


def test_accuracy_is_that_of_the_labels_that_have_arrived() -> None:
    figures = _opening(["1", "2", None]).figures
    assert (figures[POSTINGS], figures[LABELLED], figures[ACCURACY]) == (3, 2, 0.5)
    assert figures[REFERENCE_ACCURACY] == 1.0
    assert (figures[OVER_LIMIT], figures[WITHIN_LIMIT]) == (2, 1)
    assert ACCURACY not in _opening([None, None]).figures


def test_the_page_begins_with_the_opening_and_goes_on_with_the_columns_that_moved() -> None:
    page = _report(["1", None], WINDOW.end).html().decode()
    order = [page.index(text) for text in ("tests are beyond their limits", "'title_new_words'", "'board'")]
    assert order == sorted(order)


@pytest.fixture
def workspace(tmp_path: Path) -> FolderWorkspace:
    return FolderWorkspace(tmp_path, "posting-classifier")


def test_a_project_has_its_panels_and_keeps_those_of_others(workspace: FolderWorkspace, tmp_path: Path) -> None:
    from evidently.sdk.panels import text_panel

    added = workspace.add(_report(["1", None], WINDOW.end), keep=5)
    assert added.url is None
    [project] = [each for each in tmp_path.iterdir() if each.is_dir()]
    assert added.path.startswith(f"/projects/{project.name}/reports/")
    first = json.loads((project / "dashboard.json").read_text())
    assert [tab["title"] for tab in first["tabs"]] == ["Monitors"]
    assert len(first["panels"]) == len(first["tabs"][0]["panels"]) > 5

    workspace.add(_report(["1", None], WINDOW.end), keep=5)
    assert json.loads((project / "dashboard.json").read_text()) == first

    reopened = FolderWorkspace(tmp_path, "posting-classifier")
    dashboard = reopened._project.dashboard
    dashboard.delete_panel("Tests over their limits", "Monitors")
    dashboard.add_panel(text_panel("Mine"), tab="My tab")
    dashboard.add_panel(text_panel("Mine, too"), tab="Monitors")
    reopened.add(_report(["1", None], WINDOW.end), keep=5)
    mended = json.loads((project / "dashboard.json").read_text())
    assert [tab["title"] for tab in mended["tabs"]] == ["Monitors", "My tab"]
    titles = [panel["title"] for panel in mended["panels"]]
    assert {"Mine", "Mine, too"} <= set(titles)
    assert {panel["title"] for panel in first["panels"]} <= set(titles)


def test_panels_find_their_figures_at_the_windows_end(workspace: FolderWorkspace, tmp_path: Path) -> None:
    import asyncio

    import_quietly()
    from evidently.ui.service.base import SeriesFilter
    from evidently.ui.service.storage.local.base import InMemoryDataStorage

    later = datetime(2026, 3, 30, tzinfo=UTC)
    for labels, at in ((["1", "1"], WINDOW.end), (["1", "2"], later)):
        workspace.add(_report(labels, at), keep=5)
    [project] = [each for each in tmp_path.iterdir() if each.is_dir()]
    storage = InMemoryDataStorage(str(tmp_path))
    [project_id] = storage.state.projects
    for panel in json.loads((project / "dashboard.json").read_text())["panels"]:
        for value in panel["values"]:
            chosen = SeriesFilter(tags=[], metadata={}, metric=value["metric"], metric_labels=value["metric_labels"])
            answer = asyncio.run(storage.get_data_series(project_id, [chosen], None, None))
            if value["metric_labels"]["label"] == ACCURACY:
                assert [series.values for series in answer.series] == [[1.0, 0.5]]
            assert len(answer.series) <= 1, value
            assert [source.timestamp for source in answer.sources] == [
                at.replace(tzinfo=None) for at in (WINDOW.end, later) if answer.series
            ]
