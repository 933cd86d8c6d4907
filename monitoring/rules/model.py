"""Alerting and recording rules, and their form on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

Severity = Literal["critical", "warning", "info"]
"""critical: somebody is called. warning: somebody looks on the same day. info: it is written down."""

RUNBOOK = "docs/observability.md"


@dataclass(frozen=True)
class Record:
    """A query whose answer is kept under a name of its own (`level:metric:operations`)."""

    name: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)

    def to_dict(self, _runbooks: str = "") -> dict[str, Any]:
        """Prometheus' form."""
        return {"record": self.name, "expr": self.expr, **({"labels": self.labels} if self.labels else {})}


@dataclass(frozen=True)
class Alert:
    """A condition that somebody should know of.

    Attributes:
        name: What is wrong.
        expr: Yields one series per thing that is wrong.
        hold: How long it must be so; Prometheus calls it `for`.
        severity: How soon somebody should look.
        summary: One sentence, with the figure.
        description: What it means and what to do first.
        section: Heading of the runbook; the name's own by default.
    """

    name: str
    expr: str
    hold: str
    severity: Severity
    summary: str
    description: str
    section: str = ""

    @property
    def anchor(self) -> str:
        """Anchor of the heading in the runbook."""
        return (self.section or self.name).lower().replace(" ", "-")

    def to_dict(self, runbooks: str = "") -> dict[str, Any]:
        """Prometheus' form; `runbooks` is the address before `docs/...`."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.hold,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbooks}{RUNBOOK}#{self.anchor}",
            },
        }


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after another.

    Attributes:
        name: Unique among all groups.
        rules: In order; a later one may use what an earlier one has recorded.
        interval: How often; the server's own by default.
    """

    name: str
    rules: Sequence[Alert | Record]
    interval: str = ""

    def to_dict(self, runbooks: str = "") -> dict[str, Any]:
        """Prometheus' form; `runbooks` is the address before `docs/...`."""
        head = {"name": self.name, **({"interval": self.interval} if self.interval else {})}
        return {**head, "rules": [rule.to_dict(runbooks) for rule in self.rules]}


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, so that a query reads as it was written."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(groups: Sequence[Group], runbooks: str = "") -> str:
    """A rules file."""
    content = {"groups": [group.to_dict(runbooks) for group in groups]}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=4096, allow_unicode=True)
