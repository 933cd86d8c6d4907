"""What a request may look like: headers, media types, depth, keys, methods."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import SecretStr
from serving_standins import Serve

from plumbline.settings.serving_access import AccessSettings, ClientSettings, RateSettings

Posting = dict[str, Any]
KEY = "k" * 32


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "x" * 129},
        {"X-Request-ID": "two words"},
        {"X-Assignment-Key": ""},
        {"X-Latency-Budget-Ms": "0"},
        {"X-Latency-Budget-Ms": "nan"},
        {"X-Latency-Budget-Ms": "60001"},
    ],
)
def test_a_wrong_header_is_named(serve: Serve, posting: Posting, headers: dict[str, str]) -> None:
    response = serve().client.post("/v1/classify", json=posting, headers=headers)
    assert response.status_code == 400
    (name,) = headers
    assert name in response.json()["detail"]


def test_without_an_id_each_request_gets_one_of_its_own(serve: Serve, posting: Posting) -> None:
    client = serve().client
    ids = {client.post("/v1/classify", json=posting).json()["request_id"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}]
)
def test_what_is_not_announced_as_json_is_415(serve: Serve, posting: Posting, headers: dict[str, str]) -> None:
    response = serve().client.post("/v1/classify", content=json.dumps(posting), headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
def test_json_by_other_names_is_taken(serve: Serve, posting: Posting, kind: str) -> None:
    response = serve().client.post("/v1/classify", content=json.dumps(posting), headers={"Content-Type": kind})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/classify:batch"])
def test_json_that_is_too_deep_is_400(serve: Serve, path: str) -> None:
    client = serve().client
    response = client.post(path, content=b'{"postings": ' + b"[" * 40 + b"]" * 40 + b"}")
    assert (response.status_code, response.json()["title"]) == (400, "too-deep")
    assert client.post(path, content=b"[" * 100_000).status_code == 400


def test_strings_that_are_never_closed_are_read_once(serve: Serve) -> None:
    client = serve().client
    for body in (b"[]" * 20 + b'"' + b'\\"' * 100_000, b"[]" * 20 + b'"\\', b"[" * 16 + b'"[[[\\'):
        response = client.post("/v1/classify", content=body)
        assert (response.status_code, response.json()["title"]) == (400, "invalid-json")


def test_brackets_in_a_text_are_no_depth(serve: Serve, posting: Posting) -> None:
    client = serve().client
    text = 'a "quoted" \\ [[[[[[[[[[[[[[[[[[[[[[ {{{{{{{{{{{{{{{{{{{ word and one more'
    assert client.post("/v1/classify", json={**posting, "description": text}).json()["label"] == "long"


def test_a_key_is_asked_for_and_its_scope_and_rate_hold(serve: Serve, posting: Posting) -> None:
    access = AccessSettings(
        required=True,
        api_key=SecretStr(KEY),
        clients={"default": ClientSettings(scopes=frozenset({"classify"}), rate=RateSettings(per_second=0.1, burst=4))},
    )
    client = serve(access=access).client
    nobody = client.post("/v1/classify", content=b"not even read")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="plumbline"')
    assert nobody.json()["title"] == "unauthenticated"
    client.headers["Authorization"] = f"Bearer {KEY}"
    assert client.get("/v1/models").status_code == 403
    assert client.post("/v1/classify", json=posting).status_code == 200
    assert client.post("/v1/classify:batch", json={"postings": [posting] * 3}).status_code == 200
    limited = client.post("/v1/classify", json=posting)
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) >= 1
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/"):
        assert client.get(path, headers={"Authorization": ""}).status_code == 200, path


def test_who_has_no_key_does_not_learn_which_models_there_are(serve: Serve) -> None:
    client = serve(access=AccessSettings(required=True, api_key=SecretStr(KEY))).client
    nobody = client.post("/v1/models/other/classify", content=b"{}")
    assert (nobody.status_code, "posting-classifier" in nobody.text) == (401, False)
    known = client.post("/v1/models/other/classify", content=b"{}", headers={"Authorization": f"Bearer {KEY}"})
    assert (known.status_code, "posting-classifier" in known.text) == (404, True)


def test_every_refusal_is_counted(serve: Serve) -> None:
    client = serve(access=AccessSettings(required=True, api_key=SecretStr(KEY))).client
    for method, path in (("GET", "/v1/models"), ("GET", "/v1/nothing"), ("POST", "/healthz"), ("GET", "/v1/classify")):
        assert client.request(method, path).is_client_error
    counted = client.get("/metrics").text
    for status, reason, times in (
        ("401", "unauthenticated", 1),
        ("404", "not-found", 1),
        ("405", "method-not-allowed", 2),
    ):
        assert f'plumbline_requests_total{{model="",reason="{reason}",status="{status}"}} {times}.0' in counted


def test_a_wrong_method_says_which_is_right(serve: Serve) -> None:
    client = serve().client
    for method, path, allowed in (
        ("GET", "/v1/classify", "POST"),
        ("PUT", "/v1/models/posting-classifier/classify:batch", "POST"),
        ("POST", "/v1/models", "GET"),
    ):
        response = client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed), path
        assert response.json()["title"] == "method-not-allowed"
        assert response.headers["content-type"] == "application/problem+json"
    nothing = client.get("/v1/nothing")
    assert (nothing.status_code, nothing.json()["title"]) == (404, "not-found")


def test_the_first_page_leads_on_and_the_docs_need_no_network(serve: Serve) -> None:
    client = serve().client
    root = client.get("/").json()
    assert root["models"] == ["posting-classifier"]
    assert {path: client.get(path).status_code for path in root["links"].values()} == dict.fromkeys(
        root["links"].values(), 200
    )
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|@import|url\(|(src|href)=[\"']?(https?:)?//", page.text)
    document = client.get("/openapi.json").json()
    shown = [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    ]
    assert [line for line in shown if f"<summary>{line}</summary>" not in page.text] == []
    assert set(re.findall(r'href="#(\w+)"', page.text)) <= set(re.findall(r'id="(\w+)"', page.text))
    assert set(document["components"]["schemas"]) <= set(re.findall(r'id="(\w+)"', page.text))


def test_a_fault_of_ours_is_500_and_tells_nothing_of_itself(
    serve: Serve, posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a password")

    monkeypatch.setattr(served.replica.front.guard, "admit", fail)
    response = served.client.post("/v1/classify", json=posting)
    assert (response.status_code, response.json()["title"]) == (500, "internal-error")
    assert "password" not in response.text
