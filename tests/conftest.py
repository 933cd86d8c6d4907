"""Fixtures that every part's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plumbline.features  # noqa: F401 - before any test imports Feast
from plumbline.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parent.parent


def _test_data() -> Path:
    return Path(os.environ.get("PLUMBLINE_TEST_DATA", REPOSITORY / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def job_ads_file() -> Path:
    """The file of Polish job advertisements; tests that need it skip where it is absent."""
    path = _test_data() / "job_ads_pl" / "postings.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set PLUMBLINE_TEST_DATA to the folder that holds job_ads_pl/")
    return path


@pytest.fixture(scope="session")
def emscad_file() -> Path:
    """The raw sample of EMSCAD; tests that need it skip where it is absent."""
    path = _test_data() / "emscad" / "raw_sample.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set PLUMBLINE_TEST_DATA to the folder that holds emscad/")
    return path


@pytest.fixture(autouse=True)
def _path_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line sets PYTHONSAFEPATH for its children: a test that ran it in this process has left it."""
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Local profile with its home in a temporary folder."""
    return load_settings(home=tmp_path / "home")


@pytest.fixture
def run_plumbline(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `plumbline` as a user does, its home in a temporary folder; keyword `env` adds variables."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plumbline", *arguments],
            env={**os.environ, "PLUMBLINE_HOME": str(tmp_path / "home"), **(env or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def s3() -> Iterator[Callable[[str], dict[str, Any]]]:
    """A running S3 endpoint: called with the name of a bucket it makes it, and gives its store settings."""
    from s3_endpoint import running_endpoint, store_in

    with running_endpoint() as url:
        yield lambda bucket: store_in(url, bucket)
