"""Systems under test: their processes and requests. A small HTTP server of Python's own stands for a system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.serving.home import serving_home
from benchmarks.serving.loads import Load, put_load
from benchmarks.serving.rounds import Plan, play
from benchmarks.serving.running import cpu_seconds, serving
from benchmarks.serving.systems import OURS, RIVALS, SAME_WORK, SYSTEMS, Place, System
from plumbline.errors import PlumblineError
from plumbline.process.marks import RUN_VARIABLE

_SERVER = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"label": "cooks"}'
        self.send_response(int(sys.argv[2]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
_BODY = b'{"title":"Cook","description":"Cooks."}'


def _system(*command: str, **changed: Any) -> System:
    def line(place: Place) -> list[str]:
        return list(command) or [sys.executable, "-c", _SERVER, str(place.port), "200"]

    values: dict[str, Any] = {"name": "small", "title": "Small", "work": "none", "path": "/classify", "command": line}
    return System(**{**values, "label": lambda answer: answer["label"], **changed})


@pytest.fixture
def place(tmp_path: Path, free_port: int) -> Place:
    return Place(free_port, tmp_path, tmp_path, tmp_path, tmp_path / "work")


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_system_is_measured_and_leaves_no_process(place: Place) -> None:
    with serving(_system(), place, _BODY) as running:
        running.settle(_BODY)
        assert running.label_of(_BODY) == "cooks"
        processes = running.processes()
        assert len(processes) == 2  # the server, and the child that has left its session
        assert all(RUN_VARIABLE in process.environ() for process in processes)
        assert running.memory_mb() > 1
        assert set(cpu_seconds(processes)) == {process.pid for process in processes}
        closed = put_load(running, running.url, Load("2 clients", clients=2), [_BODY], seconds=0.2, warm_up=0.1, seed=0)
        opened = put_load(running, running.url, Load("100/s", rate=100), [_BODY], seconds=0.2, warm_up=0.1, seed=0)
    assert closed.sent > 0
    assert not closed.errors
    assert opened.sent + 10 == pytest.approx(opened.requests_with_warm_up, abs=10)
    assert not [process for process in processes if process.is_running() and process.status() != "zombie"]


def test_a_system_that_ends_says_why(place: Place) -> None:
    broken = _system(sys.executable, "-c", "raise SystemExit('no model here')")
    with (
        pytest.raises(PlumblineError, match=r"(?s)ended with 1 before it answered.*no model here"),
        serving(broken, place, _BODY),
    ):
        pass


def test_a_system_that_refuses_postings_is_not_waited_for(place: Place) -> None:
    refusing = _system(sys.executable, "-c", _SERVER, str(place.port), "422")
    with pytest.raises(PlumblineError, match="Small refuses a posting: 422"), serving(refusing, place, _BODY):
        pass


def test_another_model_is_given_up_and_the_others_go_on(place: Place) -> None:
    systems = [_system(name="liar", title="Liar", label=lambda _: "bakers"), _system()]
    plan = Plan(systems, [Load("2 clients", clients=2)], repeats=2, seconds=0.1, warm_up=0.1)
    found = play(plan, lambda _: place, [_BODY], ["cooks"], learn_seconds=0.1)
    assert "serves another one" in str(found["liar"].failure)
    assert not found["liar"].samples
    assert found["small"].failure is None
    assert [len(samples) for samples in found["small"].samples.values()] == [2]
    assert len(found["small"].start_seconds) == len(found["small"].stop_seconds) == 2


def test_the_systems_of_the_verdict_are_measured_by_default() -> None:
    names = [system.name for system in SYSTEMS]
    assert len(set(names)) == len(names)
    measured = {system.name for system in SYSTEMS if system.stands_for is None}
    assert {OURS, SAME_WORK, *RIVALS} <= measured
    assert {system.stands_for for system in SYSTEMS if system.stands_for} <= measured


def test_each_system_takes_the_posting_in_its_own_words() -> None:
    by_name = {system.name: system for system in SYSTEMS}
    assert by_name[OURS].body(_BODY) == _BODY
    assert orjson.loads(by_name["bentoml"].body(_BODY)) == {"postings": [orjson.loads(_BODY)]}
    assert orjson.loads(by_name["mlflow"].body(_BODY)) == {
        "dataframe_split": {"columns": ["title", "description"], "data": [["Cook", "Cooks."]]}
    }
    assert by_name["bentoml"].label([{"label": "cooks"}]) == "cooks"
    assert by_name["mlflow"].label({"predictions": [{"label": "cooks"}]}) == "cooks"


def test_the_home_that_is_served_has_a_prediction_log_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "mlflow.db").write_text("")
    (home / "predictions").mkdir()
    made = serving_home(home, tmp_path / "served")
    assert (made / "mlflow" / "mlflow.db").is_file()
    assert not (made / "predictions").exists()
    serving_home(home, made)  # again: what it links to stays
    assert (home / "mlflow" / "mlflow.db").is_file()
