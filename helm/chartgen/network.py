"""The table and the picture of docs/network.md, from the table that the NetworkPolicies are rendered from."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml

from chartgen.marked import put
from chartgen.paths import EDGES, REPOSITORY, ChartError

PAGE = REPOSITORY / "docs" / "network.md"
PICTURE = REPOSITORY / "docs" / "network.svg"

FROM_OUTSIDE = ("clients", "scrapers", "operators")
TO_OUTSIDE = ("kubernetes-api", "outside")
_CELL, _LEFT, _TOP, _EDGE = 22, 150, 130, 10


@dataclass(frozen=True)
class Edge:
    """Who opens a connection to whom."""

    source: str
    target: str
    port: str
    why: str
    when: tuple[str, ...]


def read_edges() -> tuple[dict[str, Any], list[Edge]]:
    """Components and edges.

    Raises:
        ChartError: An edge's end or port is not in the table, or an edge is there twice.
    """
    table = yaml.safe_load(EDGES.read_text(encoding="utf-8"))
    components = table["components"]
    edges = []
    for row in table["edges"]:
        edge = Edge(row["from"], row["to"], row.get("port", ""), row["why"], tuple(row.get("when", ())))
        named = f"edges.yaml: {edge.source} -> {edge.target}"
        if edge.source not in (*components, *FROM_OUTSIDE):
            raise ChartError(f"{named}: {edge.source} is no component.")
        if edge.target not in (*components, *TO_OUTSIDE):
            raise ChartError(f"{named}: {edge.target} is no component.")
        ports = components.get(edge.target, {}).get("ports", {})
        if edge.target in components and edge.port and edge.port not in ports:
            raise ChartError(f"{named}: {edge.target} has no port {edge.port}.")
        if any((edge.source, edge.target, edge.port) == (other.source, other.target, other.port) for other in edges):
            raise ChartError(f"{named} is there twice.")
        edges.append(edge)
    return components, edges


def network_files() -> dict[Path, str]:
    """Page and picture."""
    components, edges = read_edges()
    return {PAGE: put(PAGE, "edges", _table(edges)), PICTURE: _picture(list(components), edges)}


def _table(edges: list[Edge]) -> str:
    lines = ["| from | to | port | why | only where |", "|---|---|---|---|---|"]
    for edge in sorted(edges, key=lambda edge: (edge.target, edge.source, edge.port)):
        when = ", ".join(f"`{condition}`" for condition in edge.when)
        lines.append(f"| {edge.source} | {edge.target} | {edge.port or 'all'} | {edge.why} | {when} |")
    return "\n".join(lines)


def _picture(components: list[str], edges: list[Edge]) -> str:
    """A matrix: one row for each that opens connections, one column for each that takes them."""
    rows = [name for name in (*FROM_OUTSIDE, *components) if any(edge.source == name for edge in edges)]
    columns = [name for name in (*components, *TO_OUTSIDE) if any(edge.target == name for edge in edges)]
    width, height = _LEFT + _CELL * len(columns) + 90, _TOP + _CELL * len(rows) + _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Who opens connections to whom</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_EDGE}" y="{_TOP - 12}" fill="#666666">from \u2193  to \u2192</text>',
    ]
    for number, name in enumerate(columns):
        x = _LEFT + _CELL * number + _CELL // 2
        parts.append(
            f'<text transform="translate({x + 4},{_TOP - 8}) rotate(-55)" fill="#222222">{escape(name)}</text>'
        )
    for number, name in enumerate(rows):
        y = _TOP + _CELL * number
        shade = "#f4f6f8" if number % 2 == 0 else "#ffffff"
        size = f'width="{_LEFT + _CELL * len(columns) - _EDGE}" height="{_CELL}"'
        parts.append(f'<rect x="{_EDGE}" y="{y}" {size} fill="{shade}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end" fill="#222222">{escape(name)}</text>')
    for edge in edges:
        x = _LEFT + _CELL * columns.index(edge.target) + _CELL // 2
        y = _TOP + _CELL * rows.index(edge.source) + _CELL // 2
        fill = "#ffffff" if edge.when else "#2563a8"
        title = f"<title>{escape(f'{edge.source} to {edge.target}: {edge.why}')}</title>"
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="6" fill="{fill}" stroke="#2563a8" stroke-width="2">{title}</circle>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
