"""What all systems serve: the champion of a home, and postings of its latest snapshot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from plumbline.cli.output import step
from plumbline.errors import DependencyError, MissingInputError
from plumbline.process.children import plumbline_line
from plumbline.settings import Settings, load_settings

ROWS, WEEKS, SEED = 12_000, 26, 7
"""Of the postings that a home is made of: those of `make demo`."""

_STATE = ("mlflow", "features")
"""Folders of a home that serving reads."""


@dataclass(frozen=True)
class Served:
    """What is served.

    Attributes:
        settings: The home's.
        model: The champion's folder.
        mlflow_model: The logged model that the folder belongs to.
        version: The champion's version.
        since: Features of the online store reach up to this instant: postings since then are what it serves.
    """

    settings: Settings
    model: Path
    mlflow_model: Path
    version: str
    since: datetime | None


def open_home(home: Path) -> Served:
    """The champion of a home.

    Raises:
        MissingInputError: There is no champion, or it is not a logged model, or features are not applied.
    """
    from feature_repo.show import describe_views
    from plumbline.registry.models import CHAMPION, ModelRegistry

    settings = load_settings(home=home)
    champion = ModelRegistry(settings).fetch(CHAMPION)
    mlflow_model = champion.path.parent.parent
    if not (mlflow_model / "MLmodel").is_file():
        raise MissingInputError(f"{mlflow_model} is not a logged model of MLflow: MLmodel is missing. Train again.")
    brought = [row["online_until"] for row in describe_views(settings) if row["online_until"]]
    since = max(map(datetime.fromisoformat, brought)) if brought else None
    return Served(settings, champion.path, mlflow_model, champion.version, since)


def has_champion(home: Path) -> bool:
    """Whether `open_home` would find one."""
    try:
        open_home(home)
    except (MissingInputError, DependencyError):
        return False
    return True


def make_home(home: Path) -> None:
    """Makes a home from generated postings: ingested, features applied and materialised, a champion trained.

    Raises:
        DependencyError: A command failed.
    """
    from plumbline.demo.timeline import plan

    home.mkdir(parents=True, exist_ok=True)
    with step(f"No champion: generate {ROWS:,} postings in {home}"):
        data = _command(
            home, "data", "ingest", "--generate", "--rows", str(ROWS), "--weeks", str(WEEKS), "--seed", str(SEED)
        )
    snapshot = data["snapshot_id"]
    timeline = plan(datetime.fromisoformat(data["first_event"]), datetime.fromisoformat(data["last_event"]))
    as_of = timeline.first_training.isoformat()
    with step("Prepare its features"):
        _command(home, "features", "prepare", "--snapshot", snapshot, "--as-of", as_of)
    with step("Train its champion"):
        _command(home, "pipeline", "run", "training", "--snapshot", snapshot, "--as-of", as_of)


def serving_home(home: Path, folder: Path) -> Path:
    """A home with the same models and features, and a prediction log of its own: the benchmark's answers are nobody's.

    Args:
        home: Is read, never written to.
        folder: Made anew; holds links.
    """
    shutil.rmtree(folder, ignore_errors=True)  # links in it are removed, not followed
    folder.mkdir(parents=True)
    for name in _STATE:
        if (home / name).is_dir():
            (folder / name).symlink_to((home / name).resolve(), target_is_directory=True)
    return folder


def bodies(served: Served, count: int) -> list[bytes]:
    """JSON of `count` postings of the latest snapshot, drawn with replacement.

    Raises:
        MissingInputError: There is no snapshot.
    """
    from serving.load.bodies import encode, postings_of

    try:
        postings = postings_of(served.settings, "latest", since=served.since)
    except MissingInputError:
        # Features of the latest instant: no posting is later, and those before it are answered without some features.
        postings = postings_of(served.settings, "latest", since=None)
    drawn = np.random.default_rng(SEED).integers(0, len(postings), count)
    distinct, places = np.unique(drawn, return_inverse=True)
    singles = encode(postings.iloc[distinct])
    return [singles[place] for place in places]


def prediction_log(home: Path) -> dict[str, int]:
    """Records in a home's prediction log (`count`), and those without all features (`degraded`).

    Raises:
        DependencyError: It cannot be read.
    """
    found = _command(home, "serve", "log")
    return {name: int(found[name]) for name in ("count", "degraded")}


def _command(home: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        plumbline_line(*arguments, "--json"),
        env={**os.environ, "PLUMBLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DependencyError(
            f"`plumbline {' '.join(arguments[:3])}` ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    result: dict[str, Any] = json.loads(done.stdout)
    return result
