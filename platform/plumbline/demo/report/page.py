"""Puts the figures into one page; Evidently's pages lie beside it, so that the folder may be moved or sent whole."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from plumbline.demo.report.outcome import outcome_of, retraining_mark
from plumbline.demo.report.weekly import weekly_picture
from plumbline.files import atomic_write
from plumbline.model.class_names import titled
from plumbline.settings.tracking import TrackingSettings

MLFLOW_PORT = 5050
EVIDENTLY_PORT = 8085
"""Ports of the commands that the page tells its reader: its links go there."""

_TRAINING = "?workflowType=machine_learning"
"""Shows MLflow's pages for models; without it they begin with those for language-model agents."""

_EVIDENTLY = "evidently"
_WINDOWS = ("clean", "drifted")
_SECTIONS = (
    ("stages", "stages", "Stages"),
    ("postings", "rows", "Postings"),
    ("features", "parity", "Features"),
    ("training", "model", "Training"),
    ("serving", "load", "Serving"),
    ("monitoring", "monitor", "Monitoring"),
    ("loop", "loop", "The loop"),
    ("answers", "answers", "Postings, as both models read them"),
)
"""Sections by anchor: each is there when its figures are."""


def write_report(figures: dict[str, Any], *, out: Path, home: Path) -> Path:
    """Writes `report.json` and `report.html`, whole, and puts Evidently's pages into the folder `evidently`.

    Args:
        figures: Everything that the run has found out; a run that did not end has what there is. Every part may be
            missing.
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
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "fixed": _fixed, "day": _day, "class_name": _class_name(figures)}
    shown = {**figures, "model": figures.get("model") or _trained(figures)}
    page = environment.get_template("page.html.j2").render(
        figures=shown,
        outcome=outcome_of(figures),
        sections=[(anchor, title) for anchor, needed, title in _SECTIONS if shown.get(needed)],
        pictures=_pictures(figures),
        evidently=_copy_evidently(figures, out / _EVIDENTLY),
        links=_links(figures),
        mlflow_port=MLFLOW_PORT,
        evidently_port=EVIDENTLY_PORT,
        export=f'export PLUMBLINE_HOME={shlex.quote(str(home))} PATH="$PWD/.venv/bin:$PATH"',
    )
    with atomic_write(out / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return out / "report.html"


def _trained(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first model's figures from its pipeline's answer, for a run that came no further."""
    training = figures.get("training") or {}
    metrics = training.get("metrics")
    return metrics and {**metrics, "version": training.get("model_version"), "n_eval": metrics["n"]}


def _pictures(figures: Mapping[str, Any]) -> dict[str, str]:
    """The chart of accuracy by week for wide screens and for narrow ones."""
    loop, timeline = figures.get("loop") or {}, figures.get("timeline")
    if not loop.get("weekly") or not timeline:
        return {}
    return {
        name: weekly_picture(
            loop["weekly"],
            change_point=datetime.fromisoformat(timeline["change_point"]),
            retraining=datetime.fromisoformat(timeline["retraining"]),
            mark=retraining_mark(loop),
            name=f"weekly-{name}",
            wide=name == "wide",
        )
        for name in ("wide", "narrow")
    }


def _copy_evidently(figures: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Copies Evidently's pages beside the report; those that lie in a bucket are left out.

    Returns:
        By window, the page's path from the report.
    """
    copied = {}
    for name in _WINDOWS:
        page = Path(_windows(figures).get(name, {}).get("report_html") or "")
        target = folder / f"{name}.html"
        if page.is_file():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(page, target)
            copied[name] = f"{_EVIDENTLY}/{name}.html"
        else:
            target.unlink(missing_ok=True)  # an earlier run's
    return copied


def _links(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pages of MLflow and Evidently about this run: what they show, and their address once they are served."""
    mlflow = f"http://127.0.0.1:{MLFLOW_PORT}/#"
    retraining = (figures.get("loop") or {}).get("retraining") or {}
    links = [("MLflow: all runs", f"{mlflow}/experiments{_TRAINING}")] if figures.get("training") else []
    for what, run in (("first training", figures.get("training") or {}), ("retraining", retraining)):
        version = run.get("model_version")
        if run.get("run_id"):
            links.append((f"MLflow: run of the {what}", f"{mlflow}/runs/{run['run_id']}"))
        if version:
            address = f"{mlflow}/models/{_model_name(figures)}/versions/{version}{_TRAINING}"
            links.append((f"MLflow: version {version} and its model card", address))
    windows = {name: window for name, window in _windows(figures).items() if window.get("evidently_path")}
    addresses = {
        name: window.get("evidently_run") or f"http://127.0.0.1:{EVIDENTLY_PORT}{window['evidently_path']}"
        for name, window in windows.items()
    }
    if addresses:
        project = next(iter(addresses.values())).rpartition("/reports/")[0]
        links.append(("Evidently: panels over all windows", project))
    return links + [(f"Evidently: the {name} window", address) for name, address in addresses.items()]


def _windows(figures: Mapping[str, Any]) -> dict[str, Any]:
    windows: dict[str, Any] = (figures.get("monitor") or {}).get("windows") or {}
    return windows


def _model_name(figures: Mapping[str, Any]) -> str:
    retraining = (figures.get("loop") or {}).get("retraining") or {}
    return str(retraining.get("model") or TrackingSettings().model_name)


def _class_name(figures: Mapping[str, Any]) -> Any:
    """A filter that puts a class's name behind its label, where the postings' source knows it."""
    names = figures.get("class_names") or (figures.get("postings") or {}).get("class_names") or {}
    return lambda label: titled(str(label), names)


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _fixed(number: float, digits: int = 3) -> str:
    return f"{number:.{digits}f}"


def _day(instant: str) -> str:
    return str(instant)[:10]
