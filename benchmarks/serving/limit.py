"""The limit: the model called in process at the batch size and number of threads that suit it best."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.servers.champion import MODEL_VARIABLE
from plumbline.errors import DependencyError


def run_limit(
    model: Path, postings: Sequence[bytes], work: Path, *, seconds: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measures it in a process of its own, so that the load generator does not carry torch.

    Args:
        model: The champion's folder.
        postings: JSON of each.
        work: Folder for a file of them.
        seconds: Per batch size and number of threads.

    Returns:
        Postings per second (`rps`) by `batch` and `threads`, and the model's labels of the first postings.

    Raises:
        DependencyError: The model cannot be called.
    """
    file = work / "postings.jsonl"
    file.write_bytes(b"\n".join(postings) + b"\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.servers.in_process", str(file), "--seconds", str(seconds)],
        env={**os.environ, MODEL_VARIABLE: str(model)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DependencyError(f"The model in {model} cannot be called: {done.stderr[-2000:]}")
    result = json.loads(done.stdout)
    return result["rates"], result["labels"]
