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


def write_dashboards(folder: Path) -> list[Path]:
    """Writes one JSON file per dashboard, named by its id; the same code writes the same bytes.

    Args:
        folder: Made if it is not there. Other files in it are left alone.

    Returns:
        The written files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for dashboard in all_dashboards():
        path = folder / f"{dashboard.uid}.json"
        path.write_text(JSONEncoder(sort_keys=True, indent=1).encode(dashboard) + "\n", encoding="utf-8")
        written.append(path)
    return written
