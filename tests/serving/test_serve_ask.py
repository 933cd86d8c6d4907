"""`serve ask`: one posting, asked of the real application; faults say whose they are."""

from __future__ import annotations

import json
import re
import socket
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from serving_standins import Serve

from plumbline.errors import DependencyError, UserError
from serving.ask import ask, served_models

URL = "http://endpoint.example"


@pytest.fixture
def endpoint(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application behind `httpx.post`, without a port."""
    client = serve().client

    def post(url: str, **request: Any) -> httpx.Response:
        request.pop("timeout")
        return client.post(url.removeprefix(URL), **request)

    monkeypatch.setattr(httpx, "post", post)


@pytest.mark.usefixtures("endpoint")
def test_a_made_up_posting_is_answered() -> None:
    answer = ask(f"{URL}/", None, timeout_seconds=1)
    assert answer["label"]
    assert answer["posting_id"].startswith("readiness-")


@pytest.mark.usefixtures("endpoint")
def test_a_posting_of_a_file_is_answered(posting: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "posting.json"
    path.write_text(json.dumps(posting))
    assert ask(URL, path, timeout_seconds=1)["posting_id"] == posting["posting_id"]


@pytest.mark.usefixtures("endpoint")
def test_a_posting_that_breaks_the_contract_is_the_users(posting: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "posting.json"
    path.write_text(json.dumps({**posting, "event_timestamp": "yesterday"}))
    with pytest.raises(UserError, match=r"refuses the posting: event_timestamp \w") as refused:
        ask(URL, path, timeout_seconds=1)
    assert "{" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://127.0.0.1", "http://[::1", "http://a b", "http://", "http://a:x"]
)
def test_an_address_that_is_none_is_the_users(url: str) -> None:
    with pytest.raises(UserError, match=f"{re.escape(repr(url))} is not an address"):
        ask(url, None, timeout_seconds=0)


def test_a_file_that_is_no_json_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "posting.json"
    path.write_text("title: Warehouse worker")
    with pytest.raises(UserError, match=r"posting\.json is not a JSON file"):
        ask(URL, path, timeout_seconds=0)


def test_an_endpoint_that_is_away_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(DependencyError, match="does not answer"):
        ask(url, None, timeout_seconds=0)


def test_an_address_of_something_else_is_said(tmp_path: Path) -> None:
    page = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "models").write_text("<p>not ours</p>")
    with ThreadingHTTPServer(("127.0.0.1", 0), page) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(DependencyError, match="no endpoint of ours"):
            served_models(f"http://127.0.0.1:{other.server_port}", None)
        other.shutdown()
