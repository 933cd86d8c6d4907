"""The panels of a model's project in Evidently's pages, over the figures that each window's report carries.

They lie in a tab of their own. Writing them again changes nothing; tabs and panels of other making stay.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from monitoring.opening import (
    ACCURACY,
    COLUMNS,
    DRIFTED_SHARE,
    LABELLED,
    OVER_LIMIT,
    POSTINGS,
    REFERENCE_ACCURACY,
    STILL,
    TESTS,
    WITHIN_LIMIT,
    WORST,
)

if TYPE_CHECKING:
    from evidently.sdk.models import DashboardModel, DashboardPanelPlot, PanelMetric

TAB: Final = "Monitors"
_METRIC: Final = "WindowFigures"
_SPACE: Final = uuid.UUID("5d3c8f1e-8f0b-5c0e-9a53-2f6d2f1d7b11")
_OURS: Final = 5
"""Ids are made of titles (UUIDs of version 5), so that a panel has the same one in every project; Evidently's own are
of other versions, so that a panel of an earlier release is known as ours."""


def ensure_panels(workspace: Any, project_id: Any) -> None:
    """Writes the tab with its panels into a project, unless it is there as it should be.

    Args:
        workspace: Evidently's, of this machine or remote.
        project_id: The project.
    """
    present = workspace.get_dashboard(project_id)
    wanted = with_panels(present)
    if wanted != present:
        workspace.save_dashboard(project_id, wanted)


def with_panels(present: DashboardModel) -> DashboardModel:
    """A dashboard with our tab in front; what others have added to it, to the tab too, is kept."""
    from evidently.sdk.models import DashboardModel, DashboardTabModel

    ours = _panels()
    tab_id = uuid.uuid5(_SPACE, TAB)
    added = [panel for tab in present.tabs if tab.id == tab_id for panel in tab.panels if panel.version != _OURS]
    tab = DashboardTabModel(id=tab_id, title=TAB, panels=[*(panel.id for panel in ours), *added])
    return DashboardModel(
        tabs=[tab, *(each for each in present.tabs if each.id != tab_id)],
        panels=[*ours, *(panel for panel in present.panels if panel.id.version != _OURS)],
    )


def _panels() -> list[DashboardPanelPlot]:
    from evidently.sdk import panels

    def figure(name: str) -> PanelMetric:
        from evidently.sdk.models import PanelMetric

        return PanelMetric(legend=name, metric=_METRIC, metric_labels={"label": name})

    def newest(title: str, *names: str) -> DashboardPanelPlot:
        # Evidently's page shows "no value" for a zero: what holds is counted, not what does not.
        return panels.counter_panel(f"Newest window: {title}", [figure(name) for name in names], size="half")

    made = [
        panels.text_panel(
            "Windows of postings against what the served model was trained on",
            "A point is a window, at its end. Reports has the page of each: it begins with what moved.",
        ),
        newest("tests", WITHIN_LIMIT, TESTS),
        newest("columns", STILL, COLUMNS),
        newest("postings", POSTINGS, LABELLED),
        newest("accuracy", ACCURACY, REFERENCE_ACCURACY),
        panels.line_plot_panel(
            "How far the worst test of each kind has gone",
            [figure(name) for name in WORST.values()],
            "0 is what is usual, 1 is the limit, above it is an alert.",
        ),
        panels.bar_plot_panel("Tests over their limits", [figure(OVER_LIMIT)], size="half"),
        panels.line_plot_panel("Share of columns that moved", [figure(DRIFTED_SHARE)], size="half"),
        panels.bar_plot_panel(
            "Postings, and labels that have arrived", [figure(POSTINGS), figure(LABELLED)], size="half"
        ),
        panels.line_plot_panel(
            "Accuracy on labels that have arrived", [figure(ACCURACY), figure(REFERENCE_ACCURACY)], size="half"
        ),
    ]
    for panel in made:
        panel.id = uuid.uuid5(_SPACE, panel.title)
    return made
