"""The alias moves, the model follows, no request notices."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serving_standins import Serve, Served, WordCountModel


def _wait_for(served: Served, version: str) -> None:
    deadline = time.monotonic() + 5
    while served.client.get("/v1/models").json()["models"][0]["version"] != version:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_swaps_under_load_fail_no_request(serve: Serve, posting: dict[str, Any]) -> None:
    served = serve(WordCountModel(seconds=0.001), latency_budget_ms=5000.0)
    with ThreadPoolExecutor(8) as threads:
        pending = [threads.submit(served.client.post, "/v1/classify", json=posting) for _ in range(600)]
        for version in ("2", "3", "1"):
            time.sleep(0.1)
            served.models.alias = version
        responses = [request.result() for request in pending]
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["model"]["version"] for response in responses}) >= 2
    _wait_for(served, "1")


def test_a_new_version_is_warmed_up_before_it_is_served(serve: Serve) -> None:
    served = serve(max_batch_size=8, batch_chunk_size=8)
    sizes = served.models.model.sizes
    first = list(sizes)
    assert first == sorted(first)
    assert set(first) == {1, 2, 4, 8}
    assert all(first.count(size) >= 3 for size in set(first))
    served.models.alias = "2"
    _wait_for(served, "2")
    second = sizes[len(first) :]
    assert second == sorted(second)
    assert set(second) == {1, 2, 4, 8}


def test_a_broken_version_leaves_the_old_one_serving(serve: Serve, posting: dict[str, Any]) -> None:
    served = serve()
    served.models.broken.add("2")
    served.models.alias = "2"
    deadline = time.monotonic() + 5
    while served.models.loads.count("2") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert served.client.post("/v1/classify", json=posting).json()["model"]["version"] == "1"
    assert 'outcome="failed"} 0.0' not in served.client.get("/metrics").text
    following = served.client.get("/v1/models").json()["models"][0]["following"]
    assert (following["state"], following["reason"]) == ("failed", "ValueError: version 2 is broken")
    served.models.broken.clear()
    _wait_for(served, "2")


def test_an_alias_that_vanishes_changes_nothing(serve: Serve, posting: dict[str, Any]) -> None:
    served = serve()
    served.models.alias = None
    time.sleep(0.1)
    assert served.client.post("/v1/classify", json=posting).json()["model"]["version"] == "1"
