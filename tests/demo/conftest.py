"""The figures of a real run that went well, on 12,000 generated postings; lists that the page does not show are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Figures = dict[str, Any]


@pytest.fixture
def finished() -> Figures:
    figures: Figures = json.loads((Path(__file__).parent / "finished_run.json").read_text(encoding="utf-8"))
    return figures


@pytest.fixture
def rejected(finished: Figures) -> Figures:
    """The same run, had the gate rejected the second model."""
    loop = finished["loop"]
    reason = "The challenger's accuracy is +0.004 against the champion's; the lower bound must be above zero."
    loop["retraining"]["result"]["gate"] = {"verdict": "reject", "reasons": [reason], "numbers": {}}
    loop["retraining"] |= {"state": "rejected", "gate_verdict": "reject"}
    loop |= {"gate_verdict": "reject", "served_version_after": loop["served_version_before"]}
    for row in loop["weekly"]:
        row["served_version"] = loop["served_version_before"]
        row |= {name.replace("without", "with"): row[name] for name in row if name.startswith("without")}
    return finished
