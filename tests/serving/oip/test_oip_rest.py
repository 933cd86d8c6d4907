"""REST bodies that no client would send, and routes."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from oip_server import Oip, StartOip

from serving.errors import RequestRefusedError
from serving.oip.rest_codec import decode


@pytest.fixture(scope="module")
def rest(oip: Oip) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{oip.settings.serving.port}") as client:
        yield client


def tensor(name: str, value: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "BYTES", "shape": [1], "data": [value]} | more


INPUTS = [tensor("board", "jobs.example"), tensor("title", "Driver"), tensor("description", "Drives a lorry.")]


def infer(rest: httpx.Client, oip: Oip, document: Any, rest_of_it: bytes = b"", **headers: str) -> httpx.Response:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    if rest_of_it and not headers:
        headers = {"Inference-Header-Content-Length": str(len(text))}
    return rest.post(f"/v2/models/{oip.model}/infer", content=text + rest_of_it, headers=headers)


def binary(*sizes: int, content: bytes = b"") -> tuple[dict[str, Any], bytes]:
    """Postings whose last inputs are raw contents of claimed sizes."""
    inputs = [dict(each) for each in INPUTS]
    for each, size in zip(inputs[-len(sizes) :], sizes, strict=True):
        del each["data"]
        each["parameters"] = {"binary_data_size": size}
    return {"inputs": inputs}, content


def element(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def test_an_answer_in_json(rest: httpx.Client, oip: Oip) -> None:
    response = infer(rest, oip, {"id": "7", "inputs": INPUTS, "outputs": [{"name": "label"}]})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "model_name": oip.model,
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": [1], "data": ["short"]}],
    }


def test_all_outputs_in_json_without_a_word_about_them(rest: httpx.Client, oip: Oip) -> None:
    document = infer(rest, oip, {"inputs": INPUTS}).json()
    assert "id" not in document
    assert [output["name"] for output in document["outputs"]][:3] == ["label", "probability", "probabilities"]
    assert document["outputs"][2]["data"] == pytest.approx([0.2, 0.8])


def test_a_timeout_beyond_all_measure_is_the_longest_budget(rest: httpx.Client, oip: Oip) -> None:
    assert infer(rest, oip, {"inputs": INPUTS, "parameters": {"timeout": 10**400}}).status_code == 200


def test_null_is_not_stated(rest: httpx.Client, oip: Oip) -> None:
    more = [tensor("company", "x") | {"data": [None]}, {"name": "salary_min", "datatype": "FP64", "shape": [1]}]
    more[1]["data"] = [None]
    assert infer(rest, oip, {"inputs": INPUTS + more}).status_code == 200


def test_raw_contents_after_the_document(rest: httpx.Client, oip: Oip) -> None:
    title, text = element(b"Driver"), element(b"Drives a lorry.")
    document, content = binary(len(title), len(text), content=title + text)
    response = infer(rest, oip, document, content)
    assert response.status_code == 200, response.text
    assert response.json()["outputs"][0]["data"] == ["short"]


@pytest.mark.parametrize(
    ("size", "content", "says"),
    [
        (11, element(b"Driver"), "10 bytes are left"),
        (-1, element(b"Driver"), "binary_data_size -1"),
        (2**80, element(b"Driver"), "10 bytes are left"),
        ("10", element(b"Driver"), "binary_data_size 10"),
        (3, b"\x06\x00\x00", "ends in row 0"),
        (7, element(b"Driver")[:7], "ends in row 0"),
        (4, struct.pack("<I", 2**32 - 1), "ends in row 0"),
        (12, element(b"Driver") + b"xx", "2 bytes more"),
        (9, element(b"Driver"), "ends in row 0"),
    ],
)
def test_raw_contents_that_are_not_what_is_claimed(
    rest: httpx.Client, oip: Oip, size: Any, content: bytes, says: str
) -> None:
    document, _ = binary(size)
    response = infer(rest, oip, document, content)
    assert response.status_code == 400, response.text
    assert says in response.json()["error"]
    assert "description" in response.json()["error"]


def test_more_contents_than_tensors(rest: httpx.Client, oip: Oip) -> None:
    response = infer(rest, oip, {"inputs": INPUTS}, b"surplus")
    assert response.status_code == 400
    assert "7 bytes more" in response.json()["error"]


@pytest.mark.parametrize("length", ["0", "-1", "soon", "99999", "9" * 5000, "1.5"])
def test_a_wrong_length_of_the_document(rest: httpx.Client, oip: Oip, length: str) -> None:
    response = infer(rest, oip, {"inputs": INPUTS}, **{"Inference-Header-Content-Length": length})
    assert response.status_code == 400
    assert "Inference-Header-Content-Length" in response.json()["error"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "recursion limit"),
        ({}, "no inputs"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": {}}, "list of objects"),
        ({"inputs": [1]}, "list of objects"),
        ({"inputs": INPUTS, "outputs": None}, "list of objects"),
        ({"inputs": INPUTS, "id": 7}, "not a text"),
        ({"inputs": INPUTS, "parameters": []}, "not an object"),
        ({"inputs": INPUTS, "parameters": {"timeout": "soon"}}, "microseconds"),
        ({"inputs": INPUTS, "parameters": {"timeout": -5}}, "microseconds"),
        ({"inputs": INPUTS, "outputs": [{}]}, "no name"),
        ({"inputs": INPUTS, "outputs": [{"name": "probabilities", "parameters": {"classification": 0}}]}, "number of"),
        ({"inputs": [{"datatype": "BYTES"}]}, "no name"),
        ({"inputs": [tensor("title", "x", data=None)]}, "neither data"),
        ({"inputs": [tensor("title", "x", data=[7])]}, "no BYTES in row 0"),
        ({"inputs": [tensor("title", "x", data=[["x", "y"]])]}, "nested"),
        ({"inputs": [tensor("title", "x", data=[])]}, "0 values"),
        ({"inputs": [tensor("title", "x", shape=None)]}, "shape"),
        ({"inputs": [tensor("title", "x", shape=[True])]}, "shape"),
        ({"inputs": [tensor("title", "x", shape=["1"])]}, "shape"),
        ({"inputs": [tensor("title", "x", shape=[1.0])]}, "shape"),
        ({"inputs": [tensor("title", "x", datatype=None)]}, "datatype"),
        ({"inputs": [tensor("salary_min", "x", datatype="FP64")]}, "no FP64 in row 0"),
        ({"inputs": [tensor("salary_min", "x", datatype="FP64", data=[True])]}, "no FP64 in row 0"),
        ({"inputs": [tensor("title", "x", parameters={"binary_data_size": 0})]}, "both"),
        ({"inputs": [tensor("title", "x", parameters=3)]}, "not an object"),
    ],
)
def test_a_body_that_does_not_keep_to_the_protocol(rest: httpx.Client, oip: Oip, document: Any, says: str) -> None:
    response = infer(rest, oip, document)
    assert response.status_code == 400
    assert says in response.json()["error"]


def test_a_number_too_large_for_its_type(rest: httpx.Client, oip: Oip) -> None:
    salary = {"name": "salary_min", "datatype": "FP64", "shape": [1], "data": [10**400]}
    assert infer(rest, oip, {"inputs": [*INPUTS, salary]}).status_code == 422


def test_a_body_that_is_too_large_compressed_or_not(start_oip: StartOip) -> None:
    oip = start_oip(max_batch_body_bytes=4096)
    large = [*INPUTS[:2], tensor("description", "x" * 100_000)]
    body = json.dumps({"inputs": large}).encode()
    with httpx.Client(base_url=f"http://127.0.0.1:{oip.settings.serving.port}") as rest:
        assert infer(rest, oip, body).status_code == 413
        compressed = gzip.compress(body)
        assert len(compressed) < 4096
        response = infer(rest, oip, compressed, **{"Content-Encoding": "gzip"})
        assert response.status_code == 413
        assert "4096" in response.json()["error"]


@pytest.mark.parametrize(
    ("encoding", "change", "status"),
    [
        ("gzip", gzip.compress, 200),
        ("deflate", zlib.compress, 200),
        ("identity", lambda body: body, 200),
        ("gzip", lambda body: gzip.compress(body)[:-10], 400),
        ("gzip", lambda body: gzip.compress(body) + b"more", 400),
        ("gzip", lambda body: body, 400),
        ("br", lambda body: body, 415),
    ],
)
def test_compressed_bodies(rest: httpx.Client, oip: Oip, encoding: str, change: Any, status: int) -> None:
    body = change(json.dumps({"inputs": INPUTS}).encode())
    assert infer(rest, oip, body, **{"Content-Encoding": encoding}).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200),
        ("GET", "/v2/", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready/", 200),
        ("POST", "/v2", 405),
        ("GET", "/v2/models/{model}/infer", 405),
        ("DELETE", "/v2/models/{model}", 405),
        ("GET", "/v2/models/{model}/versions/1", 200),
        ("GET", "/v2/models/{model}/versions/1/ready", 200),
        ("GET", "/v2/models/{model}/versions/2/ready", 404),
        ("GET", "/v2/models/{model}/config", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2x", 404),
        ("POST", "/v2/repository/index", 404),
    ],
)
def test_routes(rest: httpx.Client, oip: Oip, method: str, path: str, status: int) -> None:
    response = rest.request(method, path.format(model=oip.model))
    assert response.status_code == status
    assert status == 200 or response.json()["error"]


def test_a_server_that_cannot_answer_is_not_ready(start_oip: StartOip) -> None:
    oip = start_oip()
    rest = httpx.Client(base_url=f"http://127.0.0.1:{oip.settings.serving.port}")
    oip.models.model.encode = None  # type: ignore[method-assign,assignment]
    response = rest.get("/v2/health/ready")
    assert response.status_code == 503
    assert response.json()["ready"] is False
    assert "TypeError" in response.json()["error"]
    assert rest.get("/v2/health/live").json() == {"live": True}


def test_every_operation_is_in_the_schema_of_the_api(rest: httpx.Client) -> None:
    document = rest.get("/openapi.json").json()
    paths = [path for path in document["paths"] if path.startswith("/v2")]
    assert len(paths) == 9
    schemas = document["components"]["schemas"]
    assert {"InferenceRequest", "InferenceResponse", "InferenceModel", "InferenceError"} <= set(schemas)


def test_what_a_raw_length_may_cost() -> None:
    """Rows are bounded before contents are looked at."""
    document = json.dumps({"inputs": [tensor("title", "", shape=[10**9], data=[])]}).encode()
    with pytest.raises(RequestRefusedError, match="from 1 to 4"):
        decode(document, None, model="m", version="", max_rows=4)
