"""A monitor run on a real installation, through the command line: results, alerts, reports, metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from drift_streams import CHANGE, END, WEEK
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from monitoring.cli import app
from monitoring.exporter import ResultCollector
from monitoring.job import judge_windows
from monitoring.results import ResultStore
from monitoring.sending import outbox
from monitoring.window import Window
from plumbline import paths
from plumbline.alerts.webhook import WebhookMessage
from plumbline.data.masking import mask_text
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import DependencyError, MissingInputError
from plumbline.settings import Settings
from plumbline.storage import open_store

CLEAN = f"{END.isoformat()}/{CHANGE.isoformat()}"
DRIFTED = f"{CHANGE.isoformat()}/{(CHANGE + 2 * WEEK).isoformat()}"


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[WebhookMessage]]]:
    """A real receiver; what it gets must be Alertmanager's form."""
    messages: list[WebhookMessage] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.append(WebhookMessage.model_validate_json(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/webhook/alertmanager", messages
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def command(watched: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Runs commands on the installation."""
    monkeypatch.setenv("PLUMBLINE_HOME", str(watched.home))
    monkeypatch.setenv("PLUMBLINE_MONITORING__DELIVERY_ATTEMPTS", "1")
    return CliRunner()


def test_two_windows_one_process(command: CliRunner, watched: Settings, receiver: tuple) -> None:
    url, messages = receiver
    done = command.invoke(
        app,
        ["run", "--window", CLEAN, "--window", DRIFTED, "--alert-url", url, "--json"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    clean, drifted = json.loads(done.stdout)["windows"]

    assert (clean["status"], clean["alerts"], clean["alert"]) == ("passed", 0, None)
    assert clean["rows"] > 500
    assert not any(test["breached"] for test in clean["tests"])

    assert drifted["status"] == "alert"
    breached = {test["name"] for test in drifted["tests"] if test["breached"]}
    assert {"null_share:company", "null_share:seniority", "null_share:category"} <= breached
    assert datetime.fromisoformat(drifted["since"]) == CHANGE
    assert sum(each["part"] for each in drifted["slices"]) <= 1.0 + 1e-9

    (message,) = messages
    alert = next(each for each in message.alerts if each.name == "PostingDrift")
    assert {"model", "model_version", "severity", "alertname"} <= set(alert.labels)
    notes = alert.annotations
    assert "the share of postings without" in notes["summary"]
    assert notes["window_end"] == (CHANGE + 2 * WEEK).isoformat()
    assert len(notes["snapshot_id"]) == 64
    assert datetime.fromisoformat(notes["since"]) == CHANGE
    assert "seniority" in notes["columns"]
    assert "board=" in notes["slices"]
    assert notes["runbook_url"] == "docs/monitoring.md#an-alert-has-been-raised"

    page = Path(drifted["report_html"])
    assert 100_000 < page.stat().st_size < 8_000_000
    assert "tests are beyond their limits" in page.read_text()
    assert "2 Professionals" in page.read_text()
    assert drifted["evidently"]["board"]["method"] == "jensenshannon"
    workspace = paths.monitoring_dir(watched) / "evidently"
    assert len(list(workspace.rglob("snapshots/*.json"))) == 2

    history = json.loads(command.invoke(app, ["history", "--json"]).stdout)["rows"]
    assert [each["status"] for each in history] == ["passed", "alert"]
    metrics = _metrics(watched)
    assert 'plumbline_monitor_window_alerts{model="posting-classifier",model_version="1"} ' in metrics
    assert 'test="null_share"' in metrics
    assert "plumbline_monitor_alerts_waiting 0.0" in metrics


def test_a_second_run_uses_the_calibration_again(watched: Settings) -> None:
    windows = [Window.parse(CLEAN)]
    first, _ = _judge(watched, windows)
    files = list((paths.monitoring_dir(watched) / "calibration").rglob("*.json"))
    assert len(files) == 1
    stamp = files[0].stat().st_mtime_ns
    second, _ = _judge(watched, windows)
    assert files[0].stat().st_mtime_ns == stamp
    assert second[0]["tests"] == first[0]["tests"]
    files[0].write_text("{ cut o")
    third, _ = _judge(watched, windows)
    assert third[0]["tests"] == first[0]["tests"]


def test_a_window_with_too_few_postings_never_passes(watched: Settings) -> None:
    results, alerts = _judge(watched, [Window(CHANGE, CHANGE + timedelta(hours=3))])
    assert results[0]["status"] == "failed"
    assert results[0]["alerts"] == 1
    assert [alert.name for alert in alerts] == ["MonitorFailed"]
    assert "fewer than the 100" in alerts[0].annotations["summary"]


def test_labels_that_arrive_later_can_be_waited_for(watched: Settings) -> None:
    window = Window.parse(CLEAN)
    at_end, _ = _judge(watched, [window])
    later, _ = _judge(watched, [window], labels_as_of=window.end + 4 * WEEK)
    assert later[0]["labelled"] > at_end[0]["labelled"]
    assert later[0]["rows"] == at_end[0]["rows"]


def test_without_a_receiver_the_alert_is_kept_and_the_result_is_still_told(
    command: CliRunner, watched: Settings
) -> None:
    arguments = ["run", "--window", DRIFTED, "--no-html", "--alert-url", "http://127.0.0.1:9/", "--json"]
    done = command.invoke(app, arguments)
    assert isinstance(done.exception, DependencyError)
    assert json.loads(done.stdout)["windows"][0]["status"] == "alert"
    assert len(outbox(watched).waiting()) == 1
    assert "plumbline_monitor_alerts_waiting 1.0" in _metrics(watched)


def test_a_monitor_that_fails_says_so(command: CliRunner, watched: Settings) -> None:
    done = command.invoke(app, ["run", "--window", CLEAN, "--model", "99"])
    assert isinstance(done.exception, MissingInputError)
    (record,) = (paths.monitoring_dir(watched) / "alerts" / "sent").glob("*.json")
    message = WebhookMessage.model_validate(json.loads(record.read_text())["message"])
    assert message.alerts[0].name == "MonitorFailed"
    assert "no version 99" in message.alerts[0].annotations["summary"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--start", "2026-01-05"],
        ["--start", "2026-01-05", "--end", "2026-01-04"],
        ["--window", CLEAN, "--start", "2026-01-05"],
        ["--window", "then/now"],
        ["--last", "14d", "--window", CLEAN],
        ["--last", "14 days"],
        ["--last", "0d"],
        ["--last", "999999999w", "--until", "1900-01-01"],
        ["--until", "2026-01-05"],
    ],
)
def test_a_window_must_be_said(command: CliRunner, arguments: list[str]) -> None:
    done = command.invoke(app, ["run", *arguments])
    assert getattr(done.exception, "exit_code", None) == 2


def test_the_last_days_of_the_snapshot(command: CliRunner, watched: Settings) -> None:
    snapshot = SnapshotStore(open_store(watched)).latest()
    midnight = snapshot.last_event.replace(hour=0, minute=0, second=0, microsecond=0)
    arguments = ["run", "--last", "14d", "--no-html", "--json"]
    result = json.loads(command.invoke(app, arguments, catch_exceptions=False).stdout)
    assert result["window"] == {"start": (midnight - 2 * WEEK).isoformat(), "end": midnight.isoformat()}
    assert result["rows"] > 500
    earlier = json.loads(
        command.invoke(app, [*arguments, "--until", CHANGE.isoformat()], catch_exceptions=False).stdout
    )
    assert earlier["window"]["end"] == CHANGE.isoformat()


def test_without_a_snapshot_the_last_days_are_a_failed_monitor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    done = CliRunner().invoke(app, ["run", "--last", "14d"])
    assert isinstance(done.exception, MissingInputError)
    (record,) = (paths.monitoring_dir(settings) / "alerts" / "sent").glob("*.json")
    assert json.loads(record.read_text())["message"]["alerts"][0]["labels"]["alertname"] == "MonitorFailed"


def test_a_store_that_is_away_is_told_to_the_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: tuple
) -> None:
    url, messages = receiver
    store = {"BUCKET": "b", "ENDPOINT_URL": "http://127.0.0.1:9", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    for name, value in {**store, "ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"PLUMBLINE_STORE__{name}", value)
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["run", "--last", "14d", "--alert-url", url])
    assert isinstance(done.exception, DependencyError)
    assert "object store" in str(done.exception)
    [message] = messages
    assert message.alerts[0].name == "MonitorFailed"
    assert "object store" in message.alerts[0].annotations["summary"]


def test_accuracy_by_week(command: CliRunner) -> None:
    done = command.invoke(
        app,
        ["weekly", "--start", END.isoformat(), "--end", CHANGE.isoformat(), "--models", "1,champion", "--json"],
        catch_exceptions=False,
    )
    rows = pd.DataFrame(json.loads(done.stdout)["rows"])
    assert len(rows) == 4
    assert set(rows["model_version"]) == {"1"}
    assert list(rows["week"].unique()) == [END.isoformat(), (END + WEEK).isoformat()]
    assert rows["accuracy"].between(0.5, 1).all()
    for row in rows.itertuples():
        assert row.accuracy_interval[0] <= row.accuracy <= row.accuracy_interval[1]
        assert row.n > 100


def test_postings_with_the_answers_of_versions(command: CliRunner) -> None:
    arguments = ["answers", "--models", "1,champion", "--since", END.isoformat(), "--until", CHANGE.isoformat()]
    result = json.loads(command.invoke(app, [*arguments, "--count", "3", "--json"], catch_exceptions=False).stdout)
    assert len(result["rows"]) == 3
    for row in result["rows"]:
        assert row.keys() == {"posting_id", "board", "title", "description_start", "label", "answers"}
        assert [given["version"] for given in row["answers"]] == ["1"]
        assert len(row["description_start"]) <= 325
        assert all(mask_text(row[name]) == row[name] for name in ("title", "description_start"))
    assert (result["disagree"], result["right_where_they_disagree"]) == (0, {"1": 0, "none": 0})
    assert result["postings"] >= result["labelled"] > 500
    assert result["class_names"]["2"] == "Professionals"
    again = json.loads(command.invoke(app, [*arguments, "--count", "3", "--json"]).stdout)
    assert again == result
    other = json.loads(command.invoke(app, [*arguments, "--count", "3", "--seed", "8", "--json"]).stdout)
    assert other["rows"] != result["rows"]
    done = command.invoke(app, ["answers", "--models", "1", "--since", "2030-01-01", "--until", "2030-02-01"])
    assert isinstance(done.exception, MissingInputError)


def test_policies_and_schema_are_printed(command: CliRunner) -> None:
    assert json.loads(command.invoke(app, ["policy", "--json"]).stdout)["name"] == "default"
    assert "false_alarm_rate" in json.loads(command.invoke(app, ["schema"]).stdout)["properties"]


def test_results_are_whole_or_absent(watched: Settings) -> None:
    store = ResultStore(watched)
    assert store.latest(5) == []
    store.add({"status": "passed"}, model="m", version="1")
    assert store.latest(5)[0]["status"] == "passed"


def _judge(settings: Settings, windows: list[Window], labels_as_of: datetime | None = None) -> tuple:
    return judge_windows(
        settings,
        snapshot="latest",
        windows=windows,
        model="champion",
        policy_name="default",
        labels_as_of=labels_as_of,
        html=False,
    )


def _metrics(settings: Settings) -> str:
    registry = CollectorRegistry()
    collector = ResultCollector(settings)
    collector.refresh()
    registry.register(collector)
    return generate_latest(registry).decode()
