"""Traces and logs of the serving endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TelemetrySettings(BaseModel):
    """Traces and logs of the serving endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trace_share: float = Field(default=0.0, ge=0, le=1)
    """Share of requests that are traced although their caller did not ask for it. A caller that says in `traceparent`
    (W3C Trace Context) whether it samples is followed."""

    otlp_endpoint: str | None = None
    """Where spans go, OTLP over HTTP: `http://collector:4318/v1/traces`. None and no file: nothing is traced."""

    trace_file: Path | None = None
    """Spans go to this file, too, a line of JSON each: what the table of the latency budget is made from."""

    logs: Literal["json", "text"] = "json"
    """Form of the endpoint's own log on standard error."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is at least as important as this is logged."""
