"""The stages of the line, in order. Each one calls commands and keeps what they answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from plumbline import paths
from plumbline.demo.commands import Commands
from plumbline.demo.options import DemoOptions
from plumbline.demo.progress import Progress
from plumbline.demo.services import Services
from plumbline.demo.timeline import Timeline, plan
from plumbline.demo.weekly import mean_accuracy, with_and_without
from plumbline.errors import GateRefusedError, UserError
from plumbline.settings import Settings


@dataclass
class DemoRun:
    """One run of the line: what it was asked for, what it has found out so far."""

    options: DemoOptions
    settings: Settings
    progress: Progress
    commands: Commands
    figures: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False

    def __post_init__(self) -> None:
        """Services start once a stage needs them."""
        self.services = Services(self.settings, self.commands)

    @property
    def timeline(self) -> Timeline:
        """The plan, known once the postings are read."""
        return Timeline(**{name: datetime.fromisoformat(text) for name, text in self.figures["timeline"].items()})

    @property
    def snapshot(self) -> str:
        """The snapshot that every later stage works on."""
        return str(self.figures["snapshot_id"])

    def answer(self, *arguments: str) -> dict[str, Any]:
        """What a command answers."""
        return self.commands.result(*arguments)

    def step(self, name: str) -> Any:
        """Shows a step with what its command says."""
        return self.progress.step(name, inside=self.commands.last_line)


def _postings(run: DemoRun) -> None:
    options = run.options
    if options.data is None:
        source: tuple[str, ...] = (
            "--generate", "--rows", str(options.rows), "--weeks", str(options.weeks), "--seed", str(options.seed),
        )  # fmt: skip
    else:
        source = ("--data", str(options.data), "--mapping", str(options.mapping))
    with run.step("Read, check, mask, snapshot") as step:
        real = run.answer("data", "ingest", *source)
        rows = real["rows"]
        step.result(
            f"{rows['read']:,} read, {rows['admitted']:,} admitted, {rows['quarantined']:,} quarantined, "
            f"{sum(real['masked'].values()):,} personal details masked"
        )
    timeline = plan(datetime.fromisoformat(real["first_event"]), datetime.fromisoformat(real["last_event"]))
    with run.step(f"Inject {options.scenario}") as step:
        stream = run.answer(
            "data", "ingest", *source,
            "--scenario", options.scenario, "--change-point", timeline.change_point.isoformat(),
            *(() if options.data is None else ("--seed", str(options.seed))),
        )  # fmt: skip
        step.result(f"true change point {timeline.change_point.date()}, snapshot {stream['snapshot_id'][:12]}")
    run.figures |= {
        "rows": rows,
        "postings": real,
        "stream": stream,
        "snapshot_id": stream["snapshot_id"],
        "timeline": {name: value.isoformat() for name, value in vars(timeline).items()},
    }


def _features(run: DemoRun) -> None:
    with run.step("Apply, build, join, materialise, compare") as step:
        prepared = run.answer(
            "features", "prepare",
            "--snapshot", run.snapshot,
            "--as-of", run.timeline.first_training.isoformat(),
            "--pairs", str(run.options.parity_pairs),
        )  # fmt: skip
        parity = prepared["parity"]
        step.result(
            f"parity {parity['matched']:,} of {parity['checked']:,} pairs "
            f"({parity['expired']:,} expired, {parity['missing']:,} missing)"
        )
    run.figures |= {"features": prepared, "parity": parity}


def _training(run: DemoRun) -> None:
    if "training" not in run.figures:
        _train(run)
    trained = run.figures["training"]
    if not trained["promoted"]:
        _require_promoted(run, trained)


def _train(run: DemoRun) -> None:
    with run.step("Training pipeline") as step:
        trained = run.answer(
            "pipeline", "run", "training",
            "--snapshot", run.snapshot,
            "--as-of", run.timeline.first_training.isoformat(),
        )  # fmt: skip
        metrics = trained["metrics"]
        step.result(
            f"version {trained['model_version']}: accuracy {metrics['accuracy']:.3f}, macro-F1 "
            f"{metrics['macro_f1']:.3f} on {metrics['n']:,} later postings; gate: {trained['gate']['verdict']}"
        )
    run.figures |= {
        "training": trained,
        "model": {
            "version": trained["model_version"],
            "accuracy": metrics["accuracy"],
            "macro_f1": metrics["macro_f1"],
            "n_eval": metrics["n"],
            **{name: value for name, value in metrics.items() if name not in {"n", "accuracy", "macro_f1"}},
        },
    }


def _require_promoted(run: DemoRun, trained: dict[str, Any]) -> None:
    """A person may have promoted meanwhile what the gate did not."""
    version, verdict = str(trained["model_version"]), trained["gate"]["verdict"]
    try:
        promoted = str(run.answer("models", "show", "champion")["version"]) == version
    except UserError:  # the command's exit code tells no more: there is no champion
        promoted = False
    if promoted:
        return
    reasons = " ".join(trained["gate"]["reasons"])
    override = "" if verdict == "review" else " --override-gate"
    kept = "left the first model to a person" if verdict == "review" else "kept the first model out"
    raise GateRefusedError(
        f"The gate {kept}: {reasons} `plumbline models show {version}` has its figures; to serve it nevertheless, run "
        f"`plumbline models promote {version}{override} --reason ...` first."
    )


def _serving(run: DemoRun) -> None:
    settings, services = run.settings, run.services
    services.start(run.timeline, run.progress)
    run.figures["serving"] = {"url": services.serving_url, "version": services.served_version()}
    start, _ = run.timeline.clean_window
    with run.step("Open-loop load") as step:
        load = run.answer(
            "load", "run",
            "--url", services.serving_url,
            "--rate", str(run.options.load_rate),
            "--duration", str(run.options.load_seconds),
            "--snapshot", run.snapshot,
            "--verify-log",
            "--since", start.isoformat(),
        )  # fmt: skip
        step.result(
            f"{load['rate']:.0f}/s: p50 {load['p50_ms']:.1f}, p95 {load['p95_ms']:.1f}, p99 {load['p99_ms']:.1f} ms "
            f"(budget {settings.serving.latency_budget_ms:.0f} ms), {load['errors']} errors"
        )
    with run.step("Count the prediction log") as step:
        log = run.answer("serve", "log")
        step.result(f"{log['count']:,} predictions, warm-up included")
    run.figures |= {"load": load, "prediction_log": log}


def _monitoring(run: DemoRun) -> None:
    timeline = run.timeline
    run.services.start(timeline, run.progress)
    windows = {"clean": timeline.clean_window, "drifted": timeline.drifted_window}
    with run.step("Compare both windows with the model's reference") as step:
        answer = run.answer(
            "monitor", "run",
            "--snapshot", run.snapshot,
            "--alert-url", f"{run.services.controller_url}/webhook/alertmanager",
            *(
                word
                for start, end in windows.values()
                for word in ("--window", f"{start.isoformat()}/{end.isoformat()}")
            ),
        )  # fmt: skip
        found = dict(zip(windows, answer["windows"], strict=True))
        step.result(
            f"clean window: {found['clean']['alerts']} alerts; drifted window: {found['drifted']['alerts']} alerts"
        )
    run.figures["monitor"] = {
        "clean_window_alerts": found["clean"]["alerts"],
        "drifted_window_alerts": found["drifted"]["alerts"],
        "windows": found,
    }


def _loop(run: DemoRun) -> None:
    services, before = run.services, str(run.figures["serving"]["version"])
    services.start(run.timeline, run.progress)
    loop: dict[str, Any] = {
        "retrained": False, "gate_verdict": None, "served_version_before": before, "served_version_after": before,
        "retraining": None, "weekly": [], "audit": [],
    }  # fmt: skip
    run.figures["loop"] = loop
    if run.figures["monitor"]["drifted_window_alerts"]:
        _retrain(run, loop)
        with run.step("Serving follows the champion") as step:
            after = str(run.answer("models", "show", "champion")["version"])
            services.wait_for_version(after)
            loop["served_version_after"] = after
            step.result(f"served version {before} → {after}, no restart")
    else:
        run.progress.print("  No alert was raised on the drifted window, so there was nothing to retrain for.")
    _compare(run, loop)
    loop["audit"] = run.answer("controller", "audit")["rows"]


def _retrain(run: DemoRun, loop: dict[str, Any]) -> None:
    services = run.services
    with run.progress.step("Controller: features, retraining, gate", inside=services.retraining_step) as step:
        broken = services.latest_retraining() if run.resumed else None
        if broken is not None and broken["state"] in ("failed", "cancelled"):
            run.answer("controller", "retry", str(broken["id"]), "--reason", "The demo goes on.")
        retraining = services.wait_for_retraining()
        loop |= {"retrained": True, "gate_verdict": retraining["gate_verdict"], "retraining": retraining}
        waits = f"; `plumbline controller approve {retraining['id']}`" if retraining["gate_verdict"] == "review" else ""
        step.result(f"version {retraining['model_version']}, gate: {retraining['gate_verdict']}{waits}")


def _compare(run: DemoRun, loop: dict[str, Any]) -> None:
    """Accuracy by week, and what the first model and the retrained one, served or not, answer to later postings."""
    timeline, before, after = run.timeline, loop["served_version_before"], loop["served_version_after"]
    commands: list[tuple[str, ...]] = [
        (
            "monitor", "weekly",
            "--snapshot", run.snapshot,
            "--start", timeline.clean_window[0].isoformat(),
            "--end", timeline.end.isoformat(),
            "--models", ",".join(sorted({before, after}, key=int)),
        )
    ]  # fmt: skip
    if loop["retrained"]:
        commands.append(
            (
                "monitor", "answers",
                "--snapshot", run.snapshot,
                "--since", timeline.retraining.isoformat(),
                "--models", f"{before},{loop['retraining']['model_version']}",
            )
        )  # fmt: skip
    with run.step("Accuracy by week, and postings that both models read") as step:
        weekly, *answers = run.commands.results(*commands)
        rows = with_and_without(weekly["rows"], before=before, after=after, since=timeline.retraining)
        loop["weekly"] = rows
        for found in answers:
            run.figures |= {
                "answers": found["rows"],
                "answers_about": {name: value for name, value in found.items() if name != "rows"},
                "class_names": found["class_names"],
            }
        later = [row for row in rows if datetime.fromisoformat(row["week"]) >= timeline.retraining]
        if later:
            step.result(
                f"after retraining: {mean_accuracy(later, 'with_loop'):.3f} with the loop, "
                f"{mean_accuracy(later, 'without_loop'):.3f} without"
            )


def _close(run: DemoRun) -> None:
    with run.progress.step("Stop serving and the controller"):
        run.services.stop()
    run.figures["mlflow_ui"] = "plumbline models ui"
    run.figures["home"] = str(run.settings.home)
    run.figures["tracking"] = str(paths.tracking_dir(run.settings))


STAGES: tuple[tuple[str, Callable[[DemoRun], None]], ...] = (
    ("Postings", _postings),
    ("Features", _features),
    ("Training", _training),
    ("Serving", _serving),
    ("Monitoring", _monitoring),
    ("The loop", _loop),
    ("Closing", _close),
)
