"""The monitor's own figures among Evidently's metrics.

Evidently's metrics look at samples of both sides; they know neither the monitor's limits nor how many labels have
arrived. This metric carries both into Evidently's reports and workspaces, which keep, show and draw it like their own:
no Evidently UI needs this module. Importing it imports Evidently.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
from evidently.core.datasets import Dataset
from evidently.core.metric_types import ByLabelCalculation, ByLabelMetric, ByLabelValue
from evidently.core.report import Context
from evidently.legacy.renderers.html_widgets import table_data, text_widget

from monitoring.opening import Opening

_FIGURES: Final = "plumbline_figures"
_WORDS: Final = "plumbline_words"
_TABLE: Final = "plumbline_table"


class WindowFigures(ByLabelMetric):  # type: ignore[misc]
    """A window's figures by name; a panel chooses one by its label.

    It has no parameters: Evidently draws a line of its own for every set of parameters.
    """


class WindowFiguresCalculation(ByLabelCalculation[WindowFigures]):  # type: ignore[misc]
    """Takes the figures over, and writes the opening as what the page shows for them."""

    def display_name(self) -> str:
        """Name of the metric."""
        return "Window"

    def calculate(self, context: Context, current_data: Dataset, reference_data: Dataset | None) -> ByLabelValue:  # noqa: ARG002
        """The figures as they were given; nothing is computed from the two sides."""
        given: dict[str, Any] = {name: data.as_dataframe() for name, data in context.additional_data.items()}
        figures, words, table = given[_FIGURES], given[_WORDS], given[_TABLE]
        result = self.result(dict(zip(figures["name"], figures["value"], strict=True)))
        result.widget = [text_widget(title=words["title"][0], text=words["words"][0])]
        if len(table):
            result.widget.append(table_data(column_names=list(table.columns), data=table.to_numpy().tolist()))
        return result


def additional_data(opening: Opening) -> dict[str, pd.DataFrame]:
    """The opening in the form in which Evidently hands a metric data beside the two sides."""
    figures = {"name": list(opening.figures), "value": [float(value) for value in opening.figures.values()]}
    return {
        _FIGURES: pd.DataFrame(figures),
        _WORDS: pd.DataFrame({"title": [opening.title], "words": [opening.words]}),
        _TABLE: pd.DataFrame(list(opening.rows), columns=list(opening.header), dtype=str),
    }
