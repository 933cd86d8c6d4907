"""Alert rules and dashboards, as `plumbline monitor rules` and `dashboards` write them."""

from __future__ import annotations

from pathlib import Path

from chartgen.paths import CHART
from monitoring.dashboards.files import dashboard_files
from monitoring.rules.files import rule_files


def observability_files() -> dict[Path, str]:
    """Text by path. The parameters of the rules are not among them: the chart renders those from its values."""
    rules = {CHART / "files" / "rules" / name: text for name, text in rule_files(None).items()}
    return rules | {CHART / "files" / "dashboards" / name: text for name, text in dashboard_files().items()}


def strays(files: dict[Path, str]) -> list[Path]:
    """Files in the two folders that nothing generates any more."""
    folders = (CHART / "files" / "rules", CHART / "files" / "dashboards")
    return sorted(path for folder in folders for path in folder.glob("*") if path not in files)
