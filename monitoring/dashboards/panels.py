"""Panels as the dashboards here want them: a title, a unit, queries with legends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WHERE = 'namespace=~"$namespace"'
"""Matcher that every query here carries."""

_WIDTH = 24
_HEIGHT = 8


@dataclass(frozen=True)
class Query:
    """A PromQL expression and how its series are called."""

    expr: str
    legend: str = ""


def graph(
    title: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    about: str = "",
    width: int = 8,
    stacked: bool = False,
    least: float | None = 0,
    most: float | None = None,
) -> timeseries.Panel:
    """Values over time, one colour per series; the axis begins at `least`, or where the values do."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(DATASOURCE)
        .unit(unit)
        .height(_HEIGHT)
        .span(width)
        .fill_opacity(30 if stacked else 0)
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
        )
    )
    if least is not None:
        panel.min(least)
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    for target in _targets(queries):
        panel.with_target(target.range())
    return panel


def figure(
    title: str,
    query: Query,
    *,
    unit: str = "short",
    about: str = "",
    width: int = 4,
    limits: Sequence[tuple[float, str]] = (),
    show_label: bool = False,
) -> stat.Panel:
    """One number that is true now.

    Args:
        title: What it is.
        query: Yields it.
        unit: Grafana's name of the unit.
        about: Help behind the title.
        width: Of 24 columns.
        limits: From which value on which colour; green below the first.
        show_label: Show the series' legend instead of its value.
    """
    steps = [models.Threshold(value=None, color="green")]
    steps += [models.Threshold(value=value, color=colour) for value, colour in limits]
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(DATASOURCE)
        .unit(unit)
        .height(_HEIGHT // 2)
        .span(width)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.NAME if show_label else common_models.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_targets([query])[0].instant())
    )


def listing(title: str, queries: Sequence[Query], *, columns: dict[str, str], about: str = "") -> table.Panel:
    """A table of series that are true now, one row per set of labels.

    Args:
        title: What it lists.
        queries: One per column of values, with the same labels.
        columns: Label or `Value #A`, and the heading it gets; in this order. Others are hidden.
        about: Help behind the title.
    """
    panel = table.Panel().title(title).description(about).datasource(DATASOURCE).height(_HEIGHT + 2).span(_WIDTH)
    for target in _targets(queries):
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
    order: dict[str, Any] = {name: index for index, name in enumerate(columns)}
    return (
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(models.DataTransformerConfig(id_val="filterFieldsByName", options=_include(columns)))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize", options={"indexByName": order, "renameByName": dict(columns)}
            )
        )
    )


def _include(columns: dict[str, str]) -> dict[str, Any]:
    return {"include": {"names": list(columns)}}


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    """Queries with the ids A, B, C and so on."""
    return [
        prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter).datasource(DATASOURCE)
        for letter, query in zip(ascii_uppercase, queries, strict=False)
    ]
