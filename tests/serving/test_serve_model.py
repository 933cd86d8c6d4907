"""`plumbline serve run` looks at its model before it starts Ray."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from plumbline import paths
from plumbline.process.children import plumbline_line
from plumbline.registry.models import MODEL_FOLDER, ModelRegistry
from plumbline.registry.tracking import configure
from plumbline.settings import Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("class_path", "module", "advice"),
    [
        ("away:Model", None, "there is no module away. Install its package into this environment, or name the folder"),
        ("mine:Modell", "class Model: ...\n", "Correct `class_path` in the model's config.json."),
        ("mine:Model", "class Model: ...\n", "has no load, save, encode, forward, predict_proba; see docs/model.md"),
        ("mine:Model", "import absent\n", "it imports absent, which is not installed here. Install that."),
        ("mine:Model", "1 / 0\n", "mine raises ZeroDivisionError (division by zero). Mend that."),
    ],
)
def test_a_model_that_cannot_be_imported_is_told_at_once(
    settings: Settings, tmp_path: Path, class_path: str, module: str | None, advice: str
) -> None:
    tracking = configure(settings)
    run = tracking.client.create_run(tracking.experiment_id)
    root = paths.tracking_dir(settings) / "models" / run.info.run_id
    folder = root / "artifacts" / MODEL_FOLDER
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"class_path": class_path}))
    if module is not None:
        (tmp_path / "mine.py").write_text(module)
    registry = ModelRegistry(settings, tracking)
    version = registry.register(run.info.run_id, model_id="", artifact_uri=root.as_uri(), tags={})
    registry.promote(version, "a test wants it served", override_gate=True)
    started = time.monotonic()
    done = subprocess.run(
        plumbline_line("serve", "run", "--port", str(free_port())),
        env={
            **os.environ,
            "PLUMBLINE_HOME": str(settings.home),
            "PLUMBLINE_SERVING__GRPC_PORT": "0",
            "PYTHONPATH": str(tmp_path),
        },
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert advice in done.stderr
    assert "Traceback" not in done.stderr
    assert "Start Ray" not in done.stderr
    assert time.monotonic() - started < 60
