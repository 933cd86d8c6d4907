"""The values table of the chart's README."""

from __future__ import annotations

from chartgen.marked import put
from chartgen.paths import CHART
from chartgen.values import Values

README = CHART / "README.md"
_LONGEST = 60


def readme(values: Values) -> str:
    """The whole page."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for row in values.rows:
        groups.setdefault(row[0].partition(".")[0], []).append(row)
    single = [row for rows in groups.values() if len(rows) == 1 for row in rows]
    parts = [_table("General", single)]
    parts += [_table(f"`{group}`", rows) for group, rows in groups.items() if len(rows) > 1]
    return put(README, "values", "\n\n".join(parts))


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"### {title}", "", "| value | default | what it does |", "|---|---|---|"]
    lines += [f"| `{path}` | {_cell(default)} | {_text(what)} |" for path, default, what in rows]
    return "\n".join(lines)


def _cell(default: str) -> str:
    if not default:
        return ""
    if len(default) > _LONGEST:
        return "see values.yaml"
    return f"`{default}`".replace("|", "\\|")


def _text(what: str) -> str:
    return what.replace("|", "\\|")
