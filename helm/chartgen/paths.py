"""Where the chart's sources and what is generated from them lie."""

from __future__ import annotations

from pathlib import Path

HELM = Path(__file__).resolve().parents[1]
REPOSITORY = HELM.parent
CHART = HELM / "plumbline"
FRAGMENTS = HELM / "schema"
VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
EDGES = CHART / "files" / "edges.yaml"


class ChartError(Exception):
    """Something in the chart's sources does not fit; the message says what to do."""
