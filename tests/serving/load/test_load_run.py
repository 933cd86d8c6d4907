"""`plumbline load` from the command line to the page, against a real server and a real snapshot."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from own_folder import own_folder
from scripted_server import Arrived, ScriptedServer, classification, reply
from typer.testing import CliRunner

from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import DependencyError, GateRefusedError, MissingInputError, PlumblineError, UserError
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.load.cli import app
from serving.load.endpoint import classify_path, request_headers


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = load_settings(home=tmp_path_factory.mktemp("load") / "home")
    postings = pd.concat(list(generate(GeneratorConfig(rows=30, weeks=2, companies=5))), ignore_index=True)
    SnapshotStore(open_store(settings)).write(postings, source={"kind": "generator"})
    return settings.home


@pytest.fixture(autouse=True)
def _environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(home))


async def endpoint(arrived: Arrived) -> bytes:
    """Answers as the endpoint does: single postings, batches, refusals."""
    if arrived.path.endswith(":batch"):
        rows = orjson.loads(arrived.body)["postings"]
        return reply(b'{"results":[' + b",".join([classification(arrived)] * len(rows)) + b"]}")
    if arrived.headers.get("x-want") == "refusal":
        return reply(b"{}", 503, "Retry-After: 1")
    return reply(classification(arrived, degraded=arrived.number % 2 == 0))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(endpoint) as running:
        yield running


def load(server: ScriptedServer | None, *arguments: str) -> dict[str, Any]:
    url = "http://127.0.0.1:1" if server is None else server.url.removesuffix("/v1/classify")
    result = CliRunner().invoke(
        app, [arguments[0], "--url", url, *arguments[1:], "--json"], catch_exceptions=True, standalone_mode=False
    )
    if isinstance(result.exception, Exception):
        raise result.exception
    return dict(json.loads(result.stdout))


SHORT = ("--rate", "100", "--duration", "0.5", "--warm-up", "0.1", "--budget-ms", "60000")


def test_a_run_counts_what_was_measured_and_what_was_not(server: ScriptedServer, tmp_path: Path) -> None:
    result = load(server, "run", *SHORT, "--slo", "p99<60s,errors<=0%", "--out", str(tmp_path / "deep" / "result.json"))
    assert (result["sent"], result["answered"], result["errors"], result["good"]) == (50, 50, 0, 50)
    assert result["warm_up"] == {"seconds": 0.1, "sent": 10, "errors": 0}
    assert len(server.arrived) == 60
    assert 0 < result["degraded"] < 50
    assert result["by_version"] == {"7": 50}
    assert result["slo_met"] is True
    assert [row["met"] for row in result["slo"]] == [True, True]
    assert sum(row["due"] for row in result["by_second"]) == 50
    assert json.loads((tmp_path / "deep" / "result.json").read_text()) == result
    assert len({one.headers["x-request-id"] for one in server.arrived}) == 60


def test_a_missed_objective_is_exit_code_3_after_the_result_was_written(server: ScriptedServer, tmp_path: Path) -> None:
    out, html = tmp_path / "result.json", tmp_path / "result.html"
    with pytest.raises(GateRefusedError, match="errors<1%: 1") as missed:
        load(server, "run", *SHORT, "--header", "X-Want: refusal", "--slo", "p99<60s,errors<1%",
             "--out", str(out), "--html", str(html))  # fmt: skip
    assert missed.value.exit_code == 3
    assert "nothing was answered" in str(missed.value)
    result = json.loads(out.read_text())
    assert result["errors_by_kind"] == {"status 503": 50}
    assert result["retry_after"] == 50
    assert "status 503" in html.read_text()


def test_the_page_shows_what_the_result_says_and_needs_nothing_else(server: ScriptedServer, tmp_path: Path) -> None:
    result = load(server, "run", *SHORT, "--html", str(tmp_path / "p.html"), "--slo", "p99<60s")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    for text in (result["run_id"], "50 of 50", "planned", "99%", "p99&lt;60s", "met", "budget"):
        assert text in page
    # Addresses of namespaces are names; nothing is fetched.
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "<script" not in page


def test_batches_go_to_the_batch_route_of_the_named_model(server: ScriptedServer) -> None:
    result = load(server, "run", *SHORT, "--batch", "4", "--model", "other")
    assert {one.path for one in server.arrived} == {"/v1/models/other/classify:batch"}
    assert {len(orjson.loads(one.body)["postings"]) for one in server.arrived} == {4}
    assert (result["sent"], result["postings_answered"], result["batch"]) == (50, 200, 4)


def test_several_processes_start_in_a_folder_with_modules_of_our_names(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_folder(tmp_path))
    line = [str(Path(sys.executable).with_name("plumbline")), "load", "run", *SHORT, "--processes", "2", "--json"]
    done = subprocess.run(
        [*line, "--url", server.url.removesuffix("/v1/classify")],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["errors"] == 0
    assert result["send_timer"]


def test_several_processes_share_the_sending(server: ScriptedServer) -> None:
    result = load(server, "run", *SHORT, "--processes", "2")
    assert (result["sent"], result["answered"], result["postings_answered"]) == (50, 50, 50)
    ids = [one.headers["x-request-id"] for one in server.arrived]
    assert sorted(ids) == sorted(f"{result['run_id']}-{number}" for number in range(60))


def test_a_fault_in_a_process_is_told_by_the_command(server: ScriptedServer) -> None:
    async def page(_: Arrived) -> bytes:
        return reply(b"<html>")

    server.script = page  # an endpoint of another kind
    with pytest.raises(DependencyError, match="no classification"):
        load(server, "run", *SHORT, "--processes", "2")


def test_the_knee_command_finds_a_server_that_holds_everything(server: ScriptedServer, tmp_path: Path) -> None:
    result = load(
        server, "knee", "--from", "200", "--to", "400", "--settle", "0.1", "--duration", "0.5", "--repeats", "1",
        "--budget-ms", "60000", "--html", str(tmp_path / "knee.html"),
    )  # fmt: skip
    assert (result["knee_rps"], result["limited_by"]) == (400, "high")
    assert [step["rate"] for step in result["curve"]] == [200, 400]
    assert "Knee: 400" in (tmp_path / "knee.html").read_text(encoding="utf-8")


def test_a_server_that_stalls_has_no_knee(server: ScriptedServer) -> None:
    async def slow(arrived: Arrived) -> bytes:
        await asyncio.sleep(0.05)
        return await endpoint(arrived)

    server.script = slow
    result = load(
        server, "knee", "--from", "200", "--to", "400", "--settle", "0", "--duration", "0.5", "--budget-ms", "20"
    )
    assert result["knee_rps"] is None


def test_an_api_key_is_sent_and_shown_nowhere(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-very-secret-key\nanother\n", encoding="utf-8")
    html = tmp_path / "p.html"
    result = load(server, "run", *SHORT, "--api-key-file", str(tmp_path / "key"), "--html", str(html))
    assert {one.headers["authorization"] for one in server.arrived} == {"Bearer a-very-secret-key"}
    assert "a-very-secret-key" not in json.dumps(result) + html.read_text(encoding="utf-8")


def test_headers_are_checked(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    assert request_headers(settings, ["X-A: 1", "X-B:2:3"], None) == {"X-A": "1", "X-B": "2:3"}
    with pytest.raises(UserError, match="without a name"):
        request_headers(settings, ["nonsense"], None)
    with pytest.raises(MissingInputError, match="API key"):
        request_headers(settings, [], tmp_path / "nowhere")
    with pytest.raises(UserError, match="first line"):
        request_headers(settings, [], tmp_path / "empty")
    (tmp_path / "key").write_text("k\n", encoding="utf-8")
    with pytest.raises(UserError, match="one of the two"):
        request_headers(settings, ["authorization: Bearer x"], tmp_path / "key")


def test_the_key_of_the_settings_is_presented(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_SERVING__ACCESS__API_KEY", "from-the-environment")
    assert request_headers(load_settings(), [], None) == {"Authorization": "Bearer from-the-environment"}


def test_names_of_models_are_checked() -> None:
    assert classify_path(None, batch=False) == "/v1/classify"
    with pytest.raises(UserError, match="not the name of a model"):
        classify_path("../x", batch=False)


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        (("run", "--slo", "p99=5"), UserError, "not an objective"),
        (("run", "--ramp", "1:2"), UserError, "--over"),
        (("run", "--rate", "1"), DependencyError, "Nothing answers"),
        (("run", "--rate", "0"), UserError, "make no request"),
        (("run", "--duration", "-1"), UserError, "seconds"),
        (("run", "--url", "localhost:8000"), UserError, "is not an address"),
        (("replay",), DependencyError, "Nothing answers"),
        (("replay", "--speed", "0"), UserError, "speed above 0"),
        (("knee", "--from", "9", "--to", "5"), UserError, "the lower one first"),
        (("knee", "--from", "1", "--duration", "1"), UserError, "100 requests that a p99 needs"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_sent(
    arguments: tuple[str, ...], error: type[PlumblineError], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        load(None, *arguments)


def test_the_schema_is_printed() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert set(json.loads(result.stdout)["properties"]) == {"phases", "warm_up_seconds", "arrivals", "seed"}
