"""The HTTP interface: answers, refusals, degradation, metrics."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serving_standins import NOT_A_NUMBER, POISON, Serve, WordCountModel

from serving.prediction_log import read

Posting = dict[str, Any]
MODEL = "posting-classifier"


def test_an_answer_says_what_and_who_and_how_long(serve: Serve, posting: Posting) -> None:
    served = serve()
    response = served.client.post("/v1/classify", json=posting, headers={"X-Request-ID": "mine"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["posting_id"] == "p-1"
    assert answer["request_id"] == "mine"
    assert (answer["label"], answer["probability"]) == ("long", 0.9)
    assert answer["model"] == {"name": "word-count", "version": "1"}
    assert answer["degraded"] is False
    assert set(answer["timings_ms"]) == {"queue", "features", "encode", "model", "total", "log"}


def test_every_answer_is_in_the_log_and_no_refusal(serve: Serve, posting: Posting) -> None:
    served = serve()
    for number in range(5):
        served.client.post("/v1/classify", json=posting, headers={"X-Request-ID": f"r{number}"})
    served.client.post("/v1/classify", json={**posting, "board": ""}, headers={"X-Request-ID": "refused"})
    log = read(served.settings)
    assert list(log["request_id"]) == [f"r{number}" for number in range(5)]
    row = log.iloc[0]
    assert row["features"] == {"board_size": 12.0}
    assert list(row["features_missing"]) == ["company_stats"]
    assert (row["model_version"], row["label"], row["company"]) == ("1", "long", "Example")


def test_the_model_reads_masked_text_as_in_training(serve: Serve, posting: Posting) -> None:
    served = serve()
    # Three words, and six once the phone number is counted as written: masked, it is one word.
    response = served.client.post("/v1/classify", json={**posting, "description": "Please call tel. 600 100 200"})
    assert response.json()["label"] == "short"


def test_a_body_that_is_not_json_is_400(serve: Serve) -> None:
    response = serve().client.post("/v1/classify", content=b'{"posting_id": ')
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert "not JSON" in response.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": "  "}, "title"),
        ({"event_timestamp": "2026-01-05T08:00:00"}, "event_timestamp"),
        ({"event_timestamp": "1970-01-01T00:00:00Z"}, "event_timestamp"),
        ({"event_timestamp": "2099-01-01T00:00:00Z"}, "event_timestamp"),
        ({"salary_min": -1}, "salary_min"),
        ({"salary_min": "NaN"}, "salary_min"),
        ({"colour": "red"}, "colour"),
        ({"description": None}, "description"),
    ],
)
def test_a_broken_contract_is_422_and_names_the_field(
    serve: Serve, posting: Posting, change: Posting, field: str
) -> None:
    response = serve().client.post("/v1/classify", json={**posting, **change})
    assert response.status_code == 422
    problem = response.json()
    assert problem["title"] == "contract-violation"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert field in problem["detail"]


def test_a_large_body_is_413_announced_or_not(serve: Serve) -> None:
    client = serve(max_body_bytes=2048).client
    assert client.post("/v1/classify", content=b"x" * 3000).status_code == 413
    assert client.post("/v1/classify", content=(b"x" * 1000 for _ in range(3))).status_code == 413


@pytest.mark.parametrize("header", [{"X-Request-ID": "x" * 129}, {"X-Latency-Budget-Ms": "soon"}])
def test_a_wrong_header_is_400(serve: Serve, posting: Posting, header: dict[str, str]) -> None:
    assert serve().client.post("/v1/classify", json=posting, headers=header).status_code == 400


@pytest.mark.parametrize("title", [POISON, NOT_A_NUMBER])
def test_a_poisoned_posting_is_500_and_its_neighbours_are_answered(serve: Serve, posting: Posting, title: str) -> None:
    served = serve(max_batch_wait_ms=100.0, latency_budget_ms=5000.0)
    bodies = [{**posting, "title": title if number == 3 else "fine"} for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        responses = list(threads.map(lambda body: served.client.post("/v1/classify", json=body), bodies))
    assert [response.status_code for response in responses] == [200, 200, 200, 500, 200, 200]
    assert len(read(served.settings)) == 5


def test_late_features_are_replaced_and_do_not_queue_up(serve: Serve, posting: Posting) -> None:
    served = serve(features_budget_ms=20.0)
    reads_before = served.features.reads
    served.features.go_on.clear()
    for _ in range(3):
        start = time.monotonic()
        answer = served.client.post("/v1/classify", json=posting).json()
        assert answer["degraded"] is True
        assert answer["degraded_reasons"] == ["features_late"]
        assert time.monotonic() - start < 1
    assert served.features.reads - reads_before == 1
    served.features.go_on.set()
    time.sleep(0.05)
    assert served.client.post("/v1/classify", json=posting).json()["degraded"] is False
    assert list(read(served.settings)["degraded"]) == [True, True, True, False]


def test_failing_features_are_replaced(serve: Serve, posting: Posting) -> None:
    served = serve()
    served.features.fails = True
    assert served.client.post("/v1/classify", json=posting).json()["degraded_reasons"] == ["features_failed"]
    assert (
        'plumbline_degraded_total{model="posting-classifier",reason="features_failed"} 1.0'
        in served.client.get("/metrics").text
    )


def test_overload_is_refused_early_and_what_was_let_in_is_answered(serve: Serve, posting: Posting) -> None:
    served = serve(WordCountModel(seconds=0.05), max_batch_size=1, latency_budget_ms=60.0)
    served.client.post("/v1/classify", json=posting)
    with ThreadPoolExecutor(20) as threads:
        responses = list(threads.map(lambda _: served.client.post("/v1/classify", json=posting), range(20)))
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    refusal = next(response for response in responses if response.status_code == 503)
    assert int(refusal.headers["Retry-After"]) >= 1
    assert refusal.json()["title"] == "overloaded"
    assert len(read(served.settings)) == 1 + statuses.count(200)


def test_a_request_may_bring_its_own_budget(serve: Serve, posting: Posting) -> None:
    served = serve(WordCountModel(seconds=0.05), max_batch_size=1)
    served.client.post("/v1/classify", json=posting)
    patient = {"X-Latency-Budget-Ms": "20000"}
    with ThreadPoolExecutor(10) as threads:
        responses = threads.map(lambda _: served.client.post("/v1/classify", json=posting, headers=patient), range(10))
        assert all(response.status_code == 200 for response in responses)


def test_readiness_is_a_real_prediction_that_is_not_logged(serve: Serve) -> None:
    served = serve()
    assert served.client.get("/readyz").json() == {"ready": True, "reason": None}
    served.models.model.encode = None  # type: ignore[method-assign,assignment]
    time.sleep(1)  # an answer holds for a second
    response = served.client.get("/readyz")
    assert response.status_code == 503
    assert "TypeError" in response.json()["reason"]
    assert len(read(served.settings)) == 0


def test_liveness_models_and_metrics(serve: Serve, posting: Posting) -> None:
    served = serve()
    answered = served.client.post("/v1/classify", json=posting)
    assert answered.status_code == 200, answered.text
    served.client.post("/v1/classify", content=b"{}")
    assert served.client.get("/healthz").json() == {"status": "alive"}
    (model,) = served.client.get("/v1/models").json()["models"]
    assert (model["name"], model["alias"], model["version"], model["labels"]) == ("word-count", "champion", "1", 2)
    metrics = served.client.get("/metrics").text
    for line in (
        f'plumbline_requests_total{{model="{MODEL}",reason="",status="200"}} 1.0',
        f'plumbline_requests_total{{model="{MODEL}",reason="contract-violation",status="422"}} 1.0',
        f'plumbline_request_seconds_count{{model="{MODEL}"}} 1.0',
        f'plumbline_model{{alias="champion",name="{MODEL}",role="champion",version="1"}} 1.0',
        "plumbline_log_spool_segments 1.0",
        f'plumbline_batch_size_count{{model="{MODEL}"}} 1.0',
        f'plumbline_waiting{{model="{MODEL}"}} 0.0',
    ):
        assert line in metrics, line


def test_the_schema_shows_the_posting_contract(serve: Serve) -> None:
    document = serve().client.get("/openapi.json").json()
    operation = document["paths"]["/v1/classify"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert {"posting_id", "event_timestamp", "board", "title", "description"} == set(schema["required"])
    assert {"200", "400", "401", "413", "422", "429", "500", "503", "504"} <= set(operation["responses"])
