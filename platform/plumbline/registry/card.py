"""The model card (Mitchell et al., Model Cards for Model Reporting, 2019): what a version is, in one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plumbline.model.class_names import titled
from plumbline.registry.gate import GateVerdict

_INTENDED = """\
Sorts job postings into the classes below, for routing, statistics and search. It reads the title, the
description and features of the company and the board. A person decides wherever a single answer matters."""

_LIMITS = """\
- It knows only the classes that had labels when it was trained; a new kind of job gets the nearest known class.
- Its figures hold for the boards and weeks it was evaluated on. The monitors tell when the stream has moved.
- Classes and boards with few rows have wide intervals: read the interval, not the point.
- It is not made for judging people, and postings are not evidence about an employer."""


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from."""

    model_name: str
    snapshot_id: str
    as_of: str
    source: Mapping[str, Any]
    """Where the snapshot came from."""

    class_names: Mapping[str, str]
    """What the labels stand for, as far as it is known."""

    code_version: str
    feature_service: str
    split: Mapping[str, Any]
    """The report of the split."""

    summary: Mapping[str, Any]
    """The evaluation."""

    verdict: GateVerdict
    run_id: str


def write_card(facts: CardFacts) -> str:
    """The card as Markdown."""
    summary = facts.summary
    parts = [
        f"# {facts.model_name}, trained as of {facts.as_of[:10]}",
        "## Intended use\n" + _INTENDED,
        "## Data\n"
        + _table(
            ("", ""),
            [
                ("snapshot", f"`{facts.snapshot_id}`"),
                ("known as of", facts.as_of),
                ("source", ", ".join(f"{key}: {value}" for key, value in facts.source.items() if not _nested(value))),
                ("features", f"`{facts.feature_service}`"),
                ("code", f"plumbline {facts.code_version}"),
                ("MLflow run", f"`{facts.run_id}`"),
            ],
        ),
        _table(
            ("part", "rows", "first posting (UTC)", "last posting (UTC)"),
            [
                (part, f"{rows:,}", _minute(facts.split["from"][part]), _minute(facts.split["until"][part]))
                for part, rows in facts.split["rows"].items()
            ],
        ),
        "### Near-duplicates\n" + _table(("", ""), _flat(facts.split["near_duplicates"])),
        "## Figures on later postings\n"
        + _table(
            ("figure", "value", "95% interval"),
            [
                ("accuracy", _number(summary["accuracy"]), _interval(summary.get("accuracy_interval"))),
                ("macro-F1", _number(summary["macro_f1"]), _interval(summary.get("macro_f1_interval"))),
                ("postings", f"{summary['n']:,}", ""),
                ("median processor time, ms", _number(facts.verdict.numbers.get("processor_ms")), ""),
            ],
        ),
        "### Per class\n" + _records(_by_name(summary.get("per_class", {}), facts.class_names), "class"),
        "### Slices\n" + _records(summary.get("slices", []), "slice"),
        "### Calibration\n" + _table(("", ""), _flat(_scalars(summary["calibration"]))),
        f"## Gate: {facts.verdict.verdict}\n" + "\n".join(f"- {reason}" for reason in facts.verdict.reasons),
        "## Limits\n" + _LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def _minute(instant: Any) -> str:
    return "" if instant is None else str(instant)[:16].replace("T", " ")


def _by_name(per_class: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {titled(label, names): figures for label, figures in per_class.items()}


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _records(records: Mapping[str, Any] | Sequence[Mapping[str, Any]], key: str) -> str:
    """A table of mappings that share their keys: `{name: {...}}` or `[{...}]`."""
    rows = (
        [{key: name, **values} for name, values in records.items()] if isinstance(records, Mapping) else list(records)
    )
    if not rows:
        return "None."
    return _table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _cell(value)))
    return rows


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not _nested(value)}


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(item, int | float) for item in value):
        return _interval(value)
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"
