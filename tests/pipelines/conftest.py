"""Fixtures of the pipelines' tests: a small snapshot, and the command line as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from own_folder import own_folder

from plumbline.data.generator import GeneratorConfig, class_names, generate
from plumbline.data.snapshot import SnapshotStore
from plumbline.process.children import plumbline_line
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

Command = Callable[..., subprocess.Popen[str]]

FAST = ("--set", "model.epochs=3", "--set", "model.refit=false", "--set", "model.threads=1")
"""Trains a model that is good enough for the gate, in a few seconds."""


@dataclass(frozen=True)
class Line:
    """A home with a snapshot in it."""

    settings: Settings
    snapshot_id: str

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `plumbline pipeline ...` under this home."""
        return subprocess.Popen(
            plumbline_line("pipeline", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=own_folder(self.settings.home.parent),
            env={**os.environ, "PLUMBLINE_HOME": str(self.settings.home)},
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Runs `plumbline pipeline ...` to its end; exit code, standard output, standard error."""
        process = self.start(*arguments)
        out, err = process.communicate()
        return process.returncode, out, err

    def measure(self, as_of: str) -> dict[str, Any]:
        """Runs `plumbline features prepare`, which records parity; its answer."""
        done = subprocess.run(
            plumbline_line(
                "features", "prepare",
                "--snapshot", self.snapshot_id, "--as-of", as_of, "--pairs", "200", "--json",
            ),
            capture_output=True,
            text=True,
            check=False,
            cwd=own_folder(self.settings.home.parent),
            env={**os.environ, "PLUMBLINE_HOME": str(self.settings.home)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def train(self, as_of: str, *more: str) -> dict[str, Any]:
        """Runs the training pipeline with a small model; its answer."""
        code, out, err = self.call(
            "run", "training", "--snapshot", self.snapshot_id, "--as-of", as_of, *FAST, *more, "--json"
        )
        assert code == 0, err
        answer: dict[str, Any] = json.loads(out)
        return answer


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A home with a snapshot of 2,600 generated postings over 13 weeks."""
    settings = load_settings(home=Path(tmp_path_factory.mktemp("line")) / "home")
    frame = pd.concat(generate(GeneratorConfig(rows=2600, weeks=13, seed=3)), ignore_index=True)
    snapshot = SnapshotStore(open_store(settings)).write(
        frame, source={"kind": "generator", "class_names": class_names()}
    )
    return Line(settings, snapshot.id)
