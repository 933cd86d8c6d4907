"""Fixtures of the image check: the images in Buildah's storage, and a home with a served model made by them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.images.container import HOME, USER, Image, opened, runtime, started
from tests.images.material import Run, project_version


def _reference(role: str) -> str:
    return f"localhost/plumbline/{role}:{project_version()}"


@pytest.fixture(scope="session")
def image() -> Iterator[Callable[[str], Image]]:
    """Mounted image of a role; skips where it cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("mounting images as a node does needs root")
    if shutil.which("buildah") is None or runtime() is None:
        pytest.skip("needs buildah and runc")
    with contextlib.ExitStack() as stack:
        images: dict[str, Image] = {}

        def get(role: str) -> Image:
            if role not in images:
                reference = _reference(role)
                known = subprocess.run(
                    ["buildah", "inspect", "--type", "image", reference], check=False, capture_output=True
                )
                if known.returncode != 0:
                    pytest.skip(f"{reference} is not in Buildah's storage: BUILDER=buildah make images")
                images[role] = stack.enter_context(opened(reference))
            return images[role]

        yield get


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Folder of one container."""
    return tmp_path / "bundle"


@pytest.fixture(scope="session")
def run(image: Callable[[str], Image], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command in a role's image to its end and returns what it said; fails when the command does."""

    def run_command(role: str, *arguments: str, home: Path | None = None, **environment: str) -> str:
        bundle = tmp_path_factory.mktemp(role) / "bundle"
        binds = {} if home is None else {HOME: home}
        with started(image(role), bundle, arguments, binds=binds, environment=environment) as container:
            code = container.process.wait(600)
        said = (bundle / "log").read_text(encoding="utf-8")
        assert code == 0, f"{role}: {' '.join(arguments)} ended with {code}:\n{said[-4000:]}"
        return said

    return run_command


@pytest.fixture(scope="session")
def home(run: Run) -> Iterator[Path]:
    """A home in which the images themselves have ingested, prepared, trained and promoted."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.chown(home, USER, USER)
        home.chmod(0o700)

        def plumbline(*arguments: str) -> None:
            run("pipelines", "plumbline", *arguments, home=home)

        plumbline("data", "ingest", "--generate", "--rows", "3000", "--weeks", "12", "--seed", "7")
        plumbline("features", "prepare", "--as-of", "latest", "--pairs", "200")
        plumbline("pipeline", "run", "training", "--no-promote", "--set", "model.epochs=2")
        plumbline("models", "promote", "1", "--override-gate", "--reason", "Image check.")
        yield home
