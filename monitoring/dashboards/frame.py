"""What every dashboard has: id, variables, times, links to its siblings."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from monitoring.dashboards.panels import DATASOURCE

TAG = "plumbline"


def framed(
    uid: str, title: str, about: str, panels: Sequence[Builder[models.Panel]], *, hours: int = 3
) -> models.Dashboard:
    """A dashboard of the panels, laid out in rows of 24 columns in their order.

    Args:
        uid: Stays the same for ever: links and later versions go by it.
        title: What it shows.
        about: In one sentence.
        panels: In reading order.
        hours: How far back it looks at first.
    """
    frame = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([TAG])
        .timezone("browser")
        .time(f"now-{hours}h", "now")
        .refresh("30s")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_namespaces())
        .link(_siblings())
    )
    for number, panel in enumerate(panels, start=1):
        panel.id(number)  # type: ignore[attr-defined]  # every panel's builder has it, their protocol does not say so
        frame.with_panel(panel)
    return frame.build()


def _namespaces() -> dashboard.QueryVariable:
    """Installations that this Prometheus watches; all of them at first."""
    return (
        dashboard.QueryVariable("namespace")
        .label("Namespace")
        .datasource(DATASOURCE)
        .query('label_values(up{job=~"plumbline-.+"}, namespace)')
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _siblings() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Plumbline")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .keep_time(True)
        .include_vars(True)
    )
