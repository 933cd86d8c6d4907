"""The stages of the line, in order. Each one calls commands and keeps what they answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from plumbline import paths
from plumbline.demo.commands import Commands, Service
from plumbline.demo.options import DemoOptions
from plumbline.demo.progress import Progress
from plumbline.demo.timeline import Timeline, plan
from plumbline.errors import DependencyError, PlumblineError
from plumbline.settings import Settings

_SERVING_READY_SECONDS = 120.0
_CONTROLLER_READY_SECONDS = 60.0
_LOOP_SECONDS = 300.0
_SWAP_SECONDS = 30.0
_STOP_SECONDS = 60.0


@dataclass
class Story:
    """One run of the line: what it was asked, what it has found out so far."""

    options: DemoOptions
    settings: Settings
    progress: Progress
    commands: Commands
    figures: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def timeline(self) -> Timeline:
        """The plan, known once the postings are read."""
        return Timeline(**{name: datetime.fromisoformat(text) for name, text in self.figures["timeline"].items()})

    @property
    def snapshot(self) -> str:
        """The snapshot that every later stage works on."""
        return str(self.figures["snapshot_id"])


def play(story: Story) -> dict[str, Any]:
    """Runs all stages.

    Returns:
        Every figure, nested by subject.

    Raises:
        PlumblineError: A stage failed.
    """
    for number, (title, stage) in enumerate(_STAGES, start=1):
        story.progress.heading(f"{number}/{len(_STAGES)} {title}")
        stage(story)
    return story.figures


def _postings(story: Story) -> None:
    options, commands = story.options, story.commands
    if options.data is None:
        source: tuple[str, ...] = (
            "--generate", "--rows", str(options.rows), "--weeks", str(options.weeks), "--seed", str(options.seed),
        )  # fmt: skip
    else:
        source = ("--data", str(options.data), "--mapping", str(options.mapping))
    with story.progress.step("Read, check, mask, snapshot") as step:
        real = commands.result("data", "ingest", *source)
        rows = real["rows"]
        step.came_out(
            f"{rows['read']:,} read, {rows['admitted']:,} admitted, {rows['quarantined']:,} quarantined, "
            f"{sum(real['masked'].values()):,} personal details masked"
        )
    timeline = plan(datetime.fromisoformat(real["first_event"]), datetime.fromisoformat(real["last_event"]))
    with story.progress.step(f"Let {options.scenario} set in") as step:
        stream = commands.result(
            "data", "ingest", *source,
            "--scenario", options.scenario, "--change-point", timeline.change_point.isoformat(),
            *(() if options.data is None else ("--seed", str(options.seed))),
        )  # fmt: skip
        step.came_out(f"true change point {timeline.change_point.date()}, snapshot {stream['snapshot_id'][:12]}")
    story.figures |= {
        "rows": rows,
        "postings": real,
        "stream": stream,
        "snapshot_id": stream["snapshot_id"],
        "timeline": {name: value.isoformat() for name, value in vars(timeline).items()},
    }


def _features(story: Story) -> None:
    with story.progress.step("Apply, build, join, materialise, compare") as step:
        prepared = story.commands.result(
            "features", "prepare",
            "--snapshot", story.snapshot,
            "--as-of", story.timeline.first_training.isoformat(),
            "--pairs", str(story.options.parity_pairs),
        )  # fmt: skip
        parity = prepared["parity"]
        step.came_out(
            f"parity {parity['matched']:,} of {parity['checked']:,} pairs "
            f"({parity['expired']:,} expired, {parity['missing']:,} missing)"
        )
    story.figures |= {"features": prepared, "parity": parity}


def _training(story: Story) -> None:
    with story.progress.step("Training pipeline") as step:
        run = story.commands.result(
            "pipeline", "run", "training",
            "--snapshot", story.snapshot,
            "--as-of", story.timeline.first_training.isoformat(),
        )  # fmt: skip
        metrics = run["metrics"]
        step.came_out(
            f"version {run['model_version']}: accuracy {metrics['accuracy']:.3f}, macro-F1 {metrics['macro_f1']:.3f} "
            f"on {metrics['n']:,} later postings; gate: {run['gate']['verdict']}"
        )
    if not run["promoted"]:
        raise PlumblineError(
            f"The gate kept the first model out: {'; '.join(run['gate']['reasons'])} "
            "Look at the run in MLflow, and give more or cleaner labelled postings."
        )
    story.figures |= {
        "training": run,
        "model": {
            "version": run["model_version"],
            "accuracy": metrics["accuracy"],
            "macro_f1": metrics["macro_f1"],
            "n_eval": metrics["n"],
            **{name: value for name, value in metrics.items() if name not in {"n", "accuracy", "macro_f1"}},
        },
    }


def _serving(story: Story) -> None:
    settings, commands = story.settings, story.commands
    with story.progress.step("Start Ray Serve and the controller") as step:
        # Nobody asks over gRPC here, and its port may belong to another endpoint of this machine.
        story.services["serve"] = commands.service(
            "serve", "run", settings_variables={"PLUMBLINE_SERVING__GRPC_PORT": "0"}
        )
        story.services["controller"] = commands.service(
            "controller", "run",
            settings_variables={"PLUMBLINE_CONTROLLER__LABEL_WAIT_DAYS": str(story.timeline.label_wait.days)},
        )  # fmt: skip
        story.services["controller"].wait_ready(
            f"{_controller_url(settings)}/healthz", timeout_seconds=_CONTROLLER_READY_SECONDS
        )
        story.services["serve"].wait_ready(f"{_serving_url(settings)}/readyz", timeout_seconds=_SERVING_READY_SECONDS)
        step.came_out(f"{_serving_url(settings)} serves version {_served_version(settings)}")
    start, _ = story.timeline.clean_window
    with story.progress.step("Open-loop load") as step:
        load = commands.result(
            "load", "run",
            "--url", _serving_url(settings),
            "--rate", str(story.options.load_rate),
            "--duration", str(story.options.load_seconds),
            "--snapshot", story.snapshot,
            "--verify-log",
            "--since", start.strftime("%Y-%m-%dT%H:%M:%S"),
        )  # fmt: skip
        step.came_out(
            f"{load['rate']:.0f}/s: p50 {load['p50_ms']:.1f}, p95 {load['p95_ms']:.1f}, p99 {load['p99_ms']:.1f} ms "
            f"(budget {settings.serving.latency_budget_ms:.0f} ms), {load['errors']} errors"
        )
    with story.progress.step("Count the prediction log") as step:
        log = commands.result("serve", "log")
        step.came_out(f"{log['count']:,} predictions, warm-up included")
    story.figures |= {"load": load, "prediction_log": log}


def _monitoring(story: Story) -> None:
    timeline = story.timeline
    windows = {"clean": timeline.clean_window, "drifted": timeline.drifted_window}
    with story.progress.step("Compare both windows with the model's reference") as step:
        answer = story.commands.result(
            "monitor", "run",
            "--snapshot", story.snapshot,
            "--alert-url", f"{_controller_url(story.settings)}/webhook/alertmanager",
            *(
                word
                for start, end in windows.values()
                for word in ("--window", f"{start.isoformat()}/{end.isoformat()}")
            ),
        )  # fmt: skip
        found = dict(zip(windows, answer["windows"], strict=True))
        step.came_out(
            f"clean window: {found['clean']['alerts']} alerts; drifted window: {found['drifted']['alerts']} alerts"
        )
    story.figures["monitor"] = {
        "clean_window_alerts": found["clean"]["alerts"],
        "drifted_window_alerts": found["drifted"]["alerts"],
        "windows": found,
    }


def _loop(story: Story) -> None:
    settings = story.settings
    before = _served_version(settings)
    retrain: dict[str, Any] | None = None
    after = before
    if story.figures["monitor"]["drifted_window_alerts"]:
        with story.progress.step("Controller: features, retraining, gate") as step:
            retrain = _wait_for_retraining(settings)
            step.came_out(f"version {retrain['model_version']}, gate: {retrain['gate_verdict']}")
        with story.progress.step("Serving follows the champion") as step:
            champion = story.commands.result("models", "show", "champion")
            after = _wait_for_version(settings, str(champion["version"]))
            step.came_out(f"served version {before} → {after}, no restart")
    else:
        story.progress.say("  No alert was raised on the drifted window, so there was nothing to retrain for.")
    timeline = story.timeline
    with story.progress.step("Accuracy by week") as step:
        versions = sorted({before, after}, key=int)
        weekly = story.commands.result(
            "monitor", "weekly",
            "--snapshot", story.snapshot,
            "--start", timeline.clean_window[0].isoformat(),
            "--end", timeline.end.isoformat(),
            "--models", ",".join(versions),
        )  # fmt: skip
        rows = _with_and_without(weekly["rows"], before=before, after=after, since=timeline.retraining)
        later = [row for row in rows if datetime.fromisoformat(row["week"]) >= timeline.retraining]
        if later:
            step.came_out(
                f"after retraining: {_mean(later, 'with_loop'):.3f} with the loop, "
                f"{_mean(later, 'without_loop'):.3f} without"
            )
    story.figures["loop"] = {
        "retrained": retrain is not None,
        "gate_verdict": None if retrain is None else retrain["gate_verdict"],
        "served_version_before": before,
        "served_version_after": after,
        "retraining": retrain,
        "weekly": rows,
        "audit": story.commands.result("controller", "audit")["rows"],
    }


def _close(story: Story) -> None:
    with story.progress.step("Stop serving and the controller"):
        for service in story.services.values():
            service.stop(timeout_seconds=_STOP_SECONDS)
    story.figures["mlflow_ui"] = "plumbline models ui"
    story.figures["home"] = str(story.settings.home)
    story.figures["tracking"] = str(paths.tracking_dir(story.settings))


_STAGES: tuple[tuple[str, Callable[[Story], None]], ...] = (
    ("Postings", _postings),
    ("Features", _features),
    ("Training", _training),
    ("Serving", _serving),
    ("Monitoring", _monitoring),
    ("The loop", _loop),
    ("Closing", _close),
)


def _serving_url(settings: Settings) -> str:
    return f"http://{settings.serving.host}:{settings.serving.port}"


def _controller_url(settings: Settings) -> str:
    return f"http://{settings.controller.host}:{settings.controller.port}"


def _served_version(settings: Settings) -> str:
    answer = httpx.get(f"{_serving_url(settings)}/v1/models", timeout=10.0)
    answer.raise_for_status()
    return str(answer.json()["models"][0]["version"])


def _wait_for_version(settings: Settings, version: str) -> str:
    deadline = time.monotonic() + _SWAP_SECONDS
    while (served := _served_version(settings)) != version:
        if time.monotonic() > deadline:
            raise DependencyError(f"Serving still answers with version {served}; the champion is {version}.")
        time.sleep(0.5)
    return served


def _wait_for_retraining(settings: Settings) -> dict[str, Any]:
    """The controller's first retraining, once it has ended."""
    deadline = time.monotonic() + _LOOP_SECONDS
    while time.monotonic() < deadline:
        answer = httpx.get(f"{_controller_url(settings)}/status", timeout=10.0)
        answer.raise_for_status()
        for retrain in answer.json()["retrainings"]:
            if retrain["state"] == "failed":
                raise PlumblineError(f"The retraining failed: {retrain['error']}")
            if retrain["state"] in {"promoted", "rejected"}:
                return dict(retrain)
        time.sleep(0.5)
    raise DependencyError(f"The controller did not finish a retraining within {_LOOP_SECONDS:.0f} s.")


def _with_and_without(rows: list[dict[str, Any]], *, before: str, after: str, since: datetime) -> list[dict[str, Any]]:
    """Accuracy per week of the model that the loop served then, and of the first model kept for ever."""
    by_week: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_week.setdefault(row["week"], {})[str(row["model_version"])] = row
    result = []
    for week, versions in sorted(by_week.items()):
        served = after if datetime.fromisoformat(week) >= since else before
        result.append(
            {
                "week": week,
                "n": versions[before]["n"],
                "served_version": served,
                "with_loop": versions[served]["accuracy"],
                "without_loop": versions[before]["accuracy"],
                "with_loop_interval": versions[served].get("accuracy_interval"),
                "without_loop_interval": versions[before].get("accuracy_interval"),
            }
        )
    return result


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    """Mean over weeks, weighted by their postings."""
    total = sum(row["n"] for row in rows)
    return float(sum(row[name] * row["n"] for row in rows) / total) if total else float("nan")
