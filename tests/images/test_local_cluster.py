"""`make kind-up` against stand-ins of its tools, which write down how they were called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = {
    "docker": """case "$1 $2" in
  'info --format') echo 16000000000 ;;
  'image inspect') echo sha256:0123456789abcdef ;;
esac""",
    "kind": "",
    "minikube": "",
    "kubectl": """case "$*" in *nodeInfo.architecture*) printf '%s' "$NODES" ;; esac""",
    "helm": "",
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, answer in TOOLS.items():
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "$CALLS"\n{answer}\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def up(tools: Path, kind: str, nodes: str, **variables: str) -> tuple[str, str]:
    """Runs the script; how Helm installed, and what was said."""
    calls = tools.parent / "calls"
    done = subprocess.run(
        [ROOT / "helm/local/up.sh", kind],
        env={"PATH": f"{tools}{os.pathsep}{os.defpath}", "CALLS": str(calls), "NODES": nodes, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (install,) = [line for line in calls.read_text(encoding="utf-8").splitlines() if line.startswith("helm upgrade")]
    return install, done.stderr


@pytest.mark.parametrize("kind", ["kind", "minikube"])
@pytest.mark.parametrize("nodes", ["arm64", "arm64 arm64"])
def test_kubeflow_pipelines_is_left_out_where_its_images_do_not_run(tools: Path, kind: str, nodes: str) -> None:
    install, said = up(tools, kind, nodes)
    assert "--set kfp.enabled=false" in install
    assert "Kubeflow Pipelines has images for amd64 only: it is left out" in said


@pytest.mark.parametrize("nodes", ["amd64", "arm64 amd64"])
def test_it_is_installed_where_a_node_runs_them(tools: Path, nodes: str) -> None:
    install, said = up(tools, "kind", nodes)
    assert "kfp" not in install
    assert "Kubeflow" not in said


def test_images_of_ones_own_are_believed_in(tools: Path) -> None:
    install, _ = up(tools, "kind", "arm64", KFP="as-in-values", VALUES="mine.yaml")
    assert "kfp" not in install
    assert "--values mine.yaml" in install
