"""Batches: answers in order, bad rows named, postings that cannot be answered among those that can."""

from __future__ import annotations

from typing import Any

import pytest
from serving_standins import POISON, Serve

from serving.engine.query import Query
from serving.errors import RequestRefusedError
from serving.prediction_log import read

Posting = dict[str, Any]
PATH = "/v1/classify:batch"


def _postings(posting: Posting, count: int) -> list[Posting]:
    return [{**posting, "posting_id": f"p-{number}"} for number in range(count)]


def test_answers_come_in_order_and_are_logged_by_row(serve: Serve, posting: Posting) -> None:
    served = serve()
    response = served.client.post(PATH, json={"postings": _postings(posting, 100)}, headers={"X-Request-ID": "b"})
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert [result["posting_id"] for result in results] == [f"p-{number}" for number in range(100)]
    assert [result["request_id"] for result in results] == [f"b/{number}" for number in range(100)]
    assert set(read(served.settings)["request_id"]) == {f"b/{number}" for number in range(100)}


def test_a_model_is_asked_by_its_name_too(serve: Serve, posting: Posting) -> None:
    client = serve().client
    for path, body in (("classify", posting), ("classify:batch", {"postings": [posting]})):
        assert client.post(f"/v1/models/posting-classifier/{path}", json=body).status_code == 200
        unknown = client.post(f"/v1/models/salary/{path}", json=body)
        assert (unknown.status_code, unknown.json()["title"]) == (404, "unknown-model")
        assert "posting-classifier" in unknown.json()["detail"]


def test_a_posting_that_cannot_be_answered_has_a_problem_in_its_place(serve: Serve, posting: Posting) -> None:
    postings = _postings(posting, 5)
    postings[3]["title"] = POISON
    response = serve().client.post(PATH, json={"postings": postings}, headers={"X-Request-ID": "b"})
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result.get("label") for result in results] == ["long", "long", "long", None, "long"]
    assert (results[3]["status"], results[3]["request_id"]) == (500, "b/3")


def test_bad_rows_are_422_by_row_and_field_and_nothing_is_computed(serve: Serve, posting: Posting) -> None:
    served = serve()
    computed = len(served.models.model.sizes)
    postings = _postings(posting, 40)
    postings[2]["title"] = " "
    postings[37]["colour"] = "red"
    del postings[37]["board"]
    response = served.client.post(PATH, json={"postings": postings})
    assert response.status_code == 422
    fields = [error["field"] for error in response.json()["errors"]]
    assert fields == ["postings.2.title", "postings.37.board", "postings.37.colour"]
    assert len(served.models.model.sizes) == computed
    assert len(read(served.settings)) == 0


def test_many_bad_rows_are_not_all_named(serve: Serve, posting: Posting) -> None:
    response = serve().client.post(PATH, json={"postings": [{}] * 200})
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 32


@pytest.mark.parametrize(
    ("body", "field"),
    [([], "postings"), ({}, "postings"), ({"postings": []}, "postings"), ({"postings": {}}, "postings")],
)
def test_what_is_no_batch_is_422(serve: Serve, body: Any, field: str) -> None:
    response = serve().client.post(PATH, json=body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_limits_of_a_batch(serve: Serve, posting: Posting) -> None:
    client = serve(max_batch_postings=3, max_batch_body_bytes=2048).client
    assert client.post(PATH, json={"postings": _postings(posting, 3)}).status_code == 200
    many = client.post(PATH, json={"postings": _postings(posting, 4)})
    assert "send 1 to 3" in many.json()["errors"][0]["reason"]
    assert client.post(PATH, json={"postings": [], "more": 1}).json()["errors"][0]["field"] == "more"
    assert client.post(PATH, content=b'{"postings": [').status_code == 400
    assert client.post(PATH, json={"postings": [{**posting, "description": "x" * 2048}]}).status_code == 413


def test_a_batch_of_which_nothing_was_let_in_is_refused_as_one(
    serve: Serve, posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()

    async def refuse(queries: list[Query]) -> list[RequestRefusedError]:
        return [RequestRefusedError(503, "unavailable", "Not now.", retry_after=7) for _ in queries]

    monkeypatch.setattr(served.replica.front.engine.lane(), "answer_all", refuse)
    response = served.client.post(PATH, json={"postings": _postings(posting, 2)})
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
