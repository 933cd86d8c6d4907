"""Puts the figures, the plots and the Evidently views into one page that needs nothing besides itself."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from plumbline.demo.report import plots
from plumbline.files import atomic_write


def write_report(figures: dict[str, Any], *, out: Path, home: Path) -> Path:
    """Writes `report.json` and `report.html`; each replaces an earlier one whole.

    Args:
        figures: Everything that the run has found out.
        out: Folder of the report.
        home: The run's state, for the commands that the page tells its reader.

    Returns:
        The page.
    """
    import jinja2

    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / "report.json") as path:
        path.write_text(json.dumps(figures, indent=2, ensure_ascii=False, default=str), encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("page.html.j2").render(
        figures=figures, plots=_plots(figures), views=_evidently_views(figures), home=home, out=out
    )
    with atomic_write(out / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return out / "report.html"


def _plots(figures: dict[str, Any]) -> dict[str, str]:
    timeline = figures["timeline"]
    budget = figures["load"]["budget_ms"]
    windows = figures["monitor"]["windows"]
    model = figures["model"]
    return {
        "weekly": plots.weekly_accuracy(
            figures["loop"]["weekly"],
            change_point=datetime.fromisoformat(timeline["change_point"]),
            retraining=datetime.fromisoformat(timeline["retraining"]),
        ),
        "latency": plots.latency(figures["load"], budget_ms=budget),
        "clean": plots.drift_tests(windows["clean"]["tests"]),
        "drifted": plots.drift_tests(windows["drifted"]["tests"]),
        "confusion": plots.confusion(model["confusion"]["counts"], model["confusion"]["labels"]),
        "durations": plots.durations(figures["seconds"]),
    }


def _evidently_views(figures: dict[str, Any]) -> dict[str, str]:
    """Evidently's own pages, to be put into frames of the page; those that lie in a bucket are left out."""
    return {
        name: Path(window["report_html"]).read_text(encoding="utf-8")
        for name, window in figures["monitor"]["windows"].items()
        if window.get("report_html") and Path(window["report_html"]).is_file()
    }
