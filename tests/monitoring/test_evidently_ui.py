"""Runs posted to a real Evidently UI, and a UI that is away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
from drift_streams import CHANGE, END

from monitoring.evidently_adapter import EvidentlyReport, ReportColumns, compare
from monitoring.evidently_workspace import RemoteWorkspace
from monitoring.job import judge_windows
from monitoring.results import ResultStore
from monitoring.window import Window
from plumbline.errors import DependencyError
from plumbline.settings import Settings


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`plumbline monitor ui`, listening where the settings say."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("ui")
    variables = {
        "PLUMBLINE_HOME": str(home / "home"),
        "PLUMBLINE_MONITORING__UI_HOST": "0.0.0.0",
        "PLUMBLINE_MONITORING__UI_PORT": str(port),
    }
    command = [sys.executable, "-m", "plumbline", "monitor", "ui"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | variables)
        try:
            _answers(f"http://127.0.0.1:{port}/api/version", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()
    assert f"http://0.0.0.0:{port}" in (home / "log").read_text()


def _answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, "the UI ended"
        assert time.monotonic() < deadline, "the UI did not start"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def report() -> EvidentlyReport:
    frame = pd.DataFrame({"board": ["a", "b"] * 40})
    return compare(frame, frame, ReportColumns(("board",), ()), thresholds={}, name="a run")


def test_runs_arrive_and_the_oldest_are_taken_away(ui: str, report: EvidentlyReport) -> None:
    workspace = RemoteWorkspace(ui, "a model/with a slash", timeout=30)
    pages = [workspace.add(report, keep=2) for _ in range(3)]
    [project] = [each for each in httpx.get(f"{ui}/api/projects").json() if each["name"] == "a model/with a slash"]
    runs = [each["id"] for each in httpx.get(f"{ui}/api/projects/{project['id']}/snapshots").json()]
    assert sorted(page.url for page in pages[1:]) == sorted(
        f"{ui}/projects/{project['id']}/reports/{run}" for run in runs
    )
    assert [page.url for page in pages] == [f"{ui}{page.path}" for page in pages]
    dashboard = httpx.get(f"{ui}/api/v2/dashboards/{project['id']}").json()
    assert [tab["title"] for tab in dashboard["tabs"]] == ["Monitors"]
    assert len(dashboard["panels"]) == len(dashboard["tabs"][0]["panels"]) > 5


def test_a_ui_that_is_away_is_said(report: EvidentlyReport) -> None:
    with pytest.raises(DependencyError, match="EVIDENTLY_URL"):
        RemoteWorkspace("http://127.0.0.1:9", "m", timeout=5).add(report, keep=2)


def test_a_ui_that_never_answers_is_given_up(report: EvidentlyReport) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DependencyError, match="timed out"):
            RemoteWorkspace(f"http://127.0.0.1:{silent.getsockname()[1]}", "m", timeout=0.5).add(report, keep=2)


def test_a_monitor_posts_its_run_and_goes_on_without_the_ui(ui: str, watched: Settings) -> None:
    posted = _judge(watched, ui)
    assert posted["evidently_run"].startswith(f"{ui}/projects/")
    assert posted["evidently_run"] == f"{ui}{posted['evidently_path']}"
    assert posted["evidently_problem"] is None
    project = posted["evidently_path"].split("/")[2]
    series = {"metric": "evidently:metric_v2:WindowFigures", "metric_labels": {"label": "postings"}}
    drawn = httpx.post(
        f"{ui}/api/v2/snapshots/{project}/data_series_batch",
        json={"series_filter": [{"tags": [], "metadata": {}, **series}]},
    ).json()
    assert [each["values"] for each in drawn["series"]] == [[posted["rows"]]]
    assert httpx.get(
        posted["evidently_run"].replace("/projects/", "/api/projects/").replace("/reports/", "/") + "/metadata"
    ).is_success
    away = _judge(watched, "http://127.0.0.1:9")
    assert away["status"] == "passed"
    assert away["evidently_run"] is None
    assert "did not take the run" in away["evidently_problem"]
    assert Path(away["report_html"]).is_file()
    assert [each["evidently_problem"] for each in ResultStore(watched).latest(2)] == [None, away["evidently_problem"]]
    assert not (watched.home / "monitoring" / "evidently").exists()


def _judge(settings: Settings, url: str) -> dict:
    monitoring = settings.monitoring.model_copy(update={"evidently_url": url})
    results, _ = judge_windows(
        settings.model_copy(update={"monitoring": monitoring}),
        snapshot="latest",
        windows=[Window(END, CHANGE)],
        model="champion",
        policy_name="default",
        labels_as_of=None,
        html=True,
    )
    return results[0]
