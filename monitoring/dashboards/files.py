"""All dashboards as files."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.drift import drift_dashboard
from monitoring.dashboards.loop import loop_dashboard
from monitoring.dashboards.platform import platform_dashboard
from monitoring.dashboards.serving import serving_dashboard


def all_dashboards() -> list[Dashboard]:
    """Every dashboard."""
    return [serving_dashboard(), drift_dashboard(), loop_dashboard(), platform_dashboard()]


def dashboard_files() -> dict[str, str]:
    """JSON by file name, one file per dashboard, named by its id; the same code gives the same text."""
    encoder = JSONEncoder(sort_keys=True, indent=1)
    return {f"{dashboard.uid}.json": encoder.encode(dashboard) + "\n" for dashboard in all_dashboards()}


def write_dashboards(folder: Path) -> list[Path]:
    """Writes the dashboards into a folder, made if it is not there; other files in it are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    content = dashboard_files()
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in content]
