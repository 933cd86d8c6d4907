"""Leaving: clients are sent elsewhere, and answered until they have gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving_standins import Serve

from plumbline.settings import load_settings
from serving.run import address_of


def test_while_draining_answers_come_and_connections_go(serve: Serve, posting: dict[str, Any], tmp_path: Path) -> None:
    drain = tmp_path / "drain"
    served = serve(drain_file=drain)
    before = served.client.post("/v1/classify", json=posting)
    assert (before.status_code, before.headers.get("connection")) == (200, None)
    assert served.client.get("/readyz").status_code == 200
    drain.touch()
    for answer in (
        served.client.post("/v1/classify", json=posting),
        served.client.post("/v1/classify", content=b"{"),
        served.client.get("/healthz"),
    ):
        assert answer.headers["connection"] == "close"
        assert answer.status_code != 503
    ready = served.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "reason": "draining"})
    drain.unlink()
    assert served.client.get("/readyz").status_code == 200


def test_an_endpoint_on_all_addresses_is_called_on_one() -> None:
    for host, address in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3")):
        assert address_of(load_settings(serving={"host": host})) == f"http://{address}:8000"
