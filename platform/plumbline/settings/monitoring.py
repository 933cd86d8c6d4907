"""Settings of monitors and their alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AlertReceiver(BaseModel):
    """Who alerts are sent to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    """Address of a controller's `/webhook/alertmanager`, a receiver of Alertmanager's webhook, or an Alertmanager."""

    token_file: Path | None = None
    """File with the bearer token that the receiver asks for (that of `controller.access.token_file`), on its first
    line; read for each alert."""

    format: Literal["webhook", "alertmanager"] = "webhook"
    """What it takes: Alertmanager's webhook payload, or the API of an Alertmanager, at whose base address
    `/api/v2/alerts` is."""


class MonitoringSettings(BaseModel):
    """Settings of monitors and their alerts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str = "default"
    """Drift policy: the name of one that comes with the platform, or a YAML file."""

    receivers: tuple[AlertReceiver, ...] = ()
    """Who alerts are sent to, each of them; none writes them only."""

    runbook_base_url: str = ""
    """Address before `docs/...` in an alert's `runbook_url`, as in `https://wiki.example/plumbline/`; empty gives the
    path in the sources."""

    alert_active_hours: float = Field(default=26.0, gt=0)
    """How long an Alertmanager takes an alert for active unless it is sent again: a day between two runs of a daily
    monitor, and two hours for a run that is late or slow. Then it is resolved."""

    alert_receiver: str = "plumbline-controller"
    """Name of the receiver, written into each alert."""

    delivery_attempts: int = Field(default=4, ge=1)
    """Tries to deliver an alert before it is kept for the next run."""

    delivery_timeout_seconds: float = Field(default=5.0, gt=0)
    """Longest wait for the receiver's answer."""

    report_rows: int = Field(default=1000, ge=100)
    """Rows of each side that Evidently's views are made from: they bound the size of the pages."""

    reports_kept: int = Field(default=50, ge=1)
    """Evidently reports kept; older ones are removed."""

    results_kept: int = Field(default=2000, ge=1)
    """Results kept; older ones are removed."""

    exporter_host: str = "127.0.0.1"
    """Address that the metrics of the latest results are served at."""

    exporter_port: int = 9105
    """Port that the metrics of the latest results are served at."""

    exporter_refresh_seconds: float = Field(default=15.0, gt=0)
    """How often the exporter looks for new results; between, and while the store is away, it serves the last ones."""

    evidently_url: str | None = None
    """Address of an Evidently UI that runs are posted to; None writes them to the local workspace folder."""

    evidently_timeout_seconds: float = Field(default=20.0, gt=0)
    """Longest wait for one answer of the Evidently UI."""

    ui_host: str = "127.0.0.1"
    """Address that Evidently's own pages are served at."""

    ui_port: int = 8085
    """Port of Evidently's own pages."""
