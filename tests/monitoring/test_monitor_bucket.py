"""A monitor in one pod, and everyone who wants to see what it left: nothing in common but the bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drift_streams import CHANGE, WEEK
from typer.testing import CliRunner

from monitoring.calibration_cache import CalibrationCache
from monitoring.cli import app
from monitoring.policy import load_policy
from monitoring.results import ResultStore
from monitoring.sending import outbox
from monitoring.shared import open_monitoring_store
from plumbline import paths
from plumbline.errors import DependencyError, MissingInputError
from plumbline.features.views import built_views
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store


@pytest.fixture
def pod(
    watched: Settings, s3: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[Settings, dict[str, Any]]:
    """The installation with its snapshots in a bucket and no views yet, told by the environment as a pod is."""
    bucket = s3("monitors")
    monkeypatch.setenv("PLUMBLINE_HOME", str(watched.home))
    monkeypatch.setenv("PLUMBLINE_FEATURES__VIEWS_DIR", str(tmp_path / "views"))
    for name, value in bucket.items():
        monkeypatch.setenv(f"PLUMBLINE_STORE__{name.upper()}", str(value))
    settings = load_settings()
    local, shared = open_store(watched), open_store(settings)
    for key in local.list("snapshots/"):
        shared.put(key, local.get(key))
    return settings, bucket


def test_what_a_monitor_leaves_is_seen_elsewhere(pod: tuple[Settings, dict[str, Any]], tmp_path: Path) -> None:
    settings, bucket = pod
    arguments = ["run", "--last", "14d", "--until", (CHANGE + 2 * WEEK).isoformat(), "--json"]
    done = CliRunner().invoke(app, [*arguments, "--alert-url", "http://127.0.0.1:9/"])
    assert isinstance(done.exception, DependencyError)
    result = json.loads(done.stdout)
    assert result["status"] == "alert"
    assert result["report_html"].startswith("s3://monitors/plumbline/monitoring/reports/")
    assert result["alert"]["annotations"]["report"] == result["report_html"]

    elsewhere = load_settings(home=tmp_path / "elsewhere", store=bucket)
    [seen] = ResultStore(elsewhere).latest(5)
    assert seen["tests"] == result["tests"]
    assert len(outbox(elsewhere).waiting()) == 1
    shared = open_monitoring_store(elsewhere)
    [page] = shared.list("reports/")
    assert shared.get(page).startswith(b"<!DOCTYPE html") or b"<html" in shared.get(page)[:500]
    file = tmp_path / "sub" / "page.html"
    for wanted in ([], ["--address", result["report_html"]]):
        assert CliRunner().invoke(app, ["page", "--out", str(file), *wanted], catch_exceptions=False).exit_code == 0
        assert file.read_bytes() == shared.get(page)
    assert isinstance(
        CliRunner().invoke(app, ["page", "--out", str(file), "--address", "x"]).exception, MissingInputError
    )
    [learnt] = shared.list("calibration/")
    policy = load_policy(settings.monitoring.policy)
    assert CalibrationCache(elsewhere, "1", policy)._root == learnt.rpartition("/")[0]
    assert not (paths.monitoring_dir(settings) / "results").exists()
    assert not paths.monitoring_dir(elsewhere).exists()
    # The views that the monitor had to build are there for everyone.
    assert built_views(elsewhere).until == CHANGE + 2 * WEEK
