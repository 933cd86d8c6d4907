"""The hot routes in the API's schema. They are answered in front of the framework that documents the others."""

from __future__ import annotations

from typing import Any

from plumbline.data.contract import PostingRequest
from serving.http.answers import Classification, Classifications, Problem
from serving.http.headers import MAX_BUDGET_MS, MAX_ID_CHARACTERS
from serving.http.problems import MEDIA_TYPE

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token (JWT) of the issuer."},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}
NEEDED: list[dict[str, list[str]]] = [{name: []} for name in SECURITY_SCHEMES]
"""Either scheme."""

SECURITY: list[dict[str, list[str]]] = [*NEEDED, {}]
"""Either scheme or none, as an installation has it that lets everybody in."""

_REFERENCE = "#/components/schemas/"
_REFUSALS = {
    400: "The body is not JSON or too deep, or a header has a wrong value.",
    401: "No API key or token, or one that is not accepted.",
    403: "The client may not do this.",
    408: "The request came too slowly; the connection is closed.",
    413: "The body is too large; the connection is closed.",
    415: "The body is announced as something else than JSON.",
    422: "A posting breaks the contract: `errors` names the fields.",
    429: "The client sends more than its rate allows. Retry-After says when to try again.",
    500: "The model cannot answer this posting.",
    503: "The answer would come too late, or could not be logged. Retry-After says when to try again.",
    504: "The budget was over before the answer was there.",
}
RETRY_AFTER = {
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses that refuse, by status."""
    return {
        status: {
            "description": _REFUSALS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REFERENCE}Problem"}}},
            **({"headers": RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in statuses
    }


def components() -> dict[str, Any]:
    """The schemas that the hot routes refer to."""
    found: dict[str, Any] = {}
    for model in (Classification, Classifications, Problem, PostingRequest):
        schema = model.model_json_schema(ref_template=_REFERENCE + "{model}", mode="validation")
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found


def paths(max_postings: int) -> dict[str, Any]:
    """The classify routes.

    Args:
        max_postings: Most postings of a batch.
    """
    posting = {"$ref": f"{_REFERENCE}PostingRequest"}
    batch = {
        "type": "object",
        "properties": {"postings": {"type": "array", "items": posting, "minItems": 1, "maxItems": max_postings}},
        "required": ["postings"],
        "additionalProperties": False,
    }
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[^/]+$"}}
    found: dict[str, Any] = {}
    for prefix, whose, parameters, more in (
        ("/v1", "the default model", [], ()),
        ("/v1/models/{model}", "a model by its name", [model], (404,)),
    ):
        suffix = "" if not parameters else "_by_model"
        found[f"{prefix}/classify"] = _operation(
            f"classify{suffix}", f"Classifies one posting by {whose}.", posting, "Classification", parameters, more
        )
        found[f"{prefix}/classify:batch"] = _operation(
            f"classify_batch{suffix}",
            f"Classifies up to {max_postings} postings by {whose}.",
            batch,
            "Classifications",
            parameters,
            more,
        )
    return found


def _operation(
    name: str, summary: str, body: dict[str, Any], answer: str, parameters: list[dict[str, Any]], more: tuple[int, ...]
) -> dict[str, Any]:
    refusals = {str(status): response for status, response in problems(*_REFUSALS).items()}
    for status in more:
        refusals[str(status)] = {
            "description": "No such model is served here.",
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REFERENCE}Problem"}}},
        }
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": [*parameters, *HEADERS],
            "security": SECURITY,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {
                    "description": "The answer.",
                    "content": {"application/json": {"schema": {"$ref": f"{_REFERENCE}{answer}"}}},
                },
                **dict(sorted(refusals.items())),
            },
        }
    }


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_IDENTIFIER = {"type": "string", "pattern": r"^[\x21-\x7e]+$", "minLength": 1, "maxLength": MAX_ID_CHARACTERS}
HEADERS = [
    _header("X-Request-ID", "Names the answer in the log. Of a batch, its rows are ID/0, ID/1 and so on.", _IDENTIFIER),
    _header(
        "X-Latency-Budget-Ms",
        "Milliseconds that the client gives; default: the endpoint's.",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_BUDGET_MS},
    ),
    _header(
        "X-Assignment-Key",
        "Requests with the same key are answered by the same version while a new one is tried; default: the company.",
        _IDENTIFIER,
    ),
]
