"""The routes below /v2 in the API's schema."""

from __future__ import annotations

from typing import Any

from serving.http.headers import MAX_ID_CHARACTERS
from serving.http.schema import HEADERS, RETRY_AFTER, SECURITY
from serving.oip import outputs, postings

_REFERENCE = "#/components/schemas/"
_REFUSALS = {
    400: "Tensors or headers do not keep to the protocol.",
    401: "No API key or token, or one that is not accepted.",
    403: "The client may not do this.",
    404: "No such model or version is served here.",
    408: "The request came too slowly; the connection is closed.",
    413: "The body is too large; the connection is closed.",
    415: "The body is compressed by something else than gzip or deflate.",
    422: "A row breaks the posting contract: tensor and row are named.",
    429: "The client sends more than its rate allows. Retry-After says when to try again.",
    500: "The model cannot answer one of the postings.",
    503: "The answer would come too late, or could not be logged. Retry-After says when to try again.",
    504: "The budget was over before the answer was there.",
}
_TEXT = {"type": "string"}
_SHAPE = {"type": "array", "items": {"type": "integer"}}
_PARAMETERS = {"type": "object", "additionalProperties": True}
_READY = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
_HEADER_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "required": False,
    "description": "Bytes of the JSON document, where raw contents follow it (binary tensor extension).",
    "schema": {"type": "integer", "minimum": 1},
}


def components(max_rows: int) -> dict[str, Any]:
    """The schemas that the routes refer to.

    Args:
        max_rows: Most rows of a request.
    """
    described = {
        "type": "array",
        "items": _object(name=_TEXT, datatype=_TEXT, shape=_SHAPE, optional={"parameters": _PARAMETERS}),
    }
    given = _object(
        name=_TEXT,
        datatype=_TEXT,
        shape=_SHAPE,
        optional={"parameters": _PARAMETERS, "data": {"type": "array", "items": {}}},
    )
    answer = {"model_version": _TEXT, "id": _TEXT}
    return {
        "InferenceError": _object(error=_TEXT),
        "InferenceServer": _object(name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT}),
        "InferenceModel": _object(
            name=_TEXT, versions={"type": "array", "items": _TEXT}, platform=_TEXT, inputs=described, outputs=described
        ),
        "InferenceRequest": _object(
            inputs={"type": "array", "minItems": 1, "items": _input(max_rows)},
            optional={
                "id": {"type": "string", "maxLength": MAX_ID_CHARACTERS},
                "parameters": _PARAMETERS,
                "outputs": {
                    "type": "array",
                    "items": _object(
                        name={"type": "string", "enum": list(outputs.DATATYPES)}, optional={"parameters": _PARAMETERS}
                    ),
                },
            },
        ),
        "InferenceResponse": _object(model_name=_TEXT, outputs={"type": "array", "items": given}, optional=answer),
    }


def paths() -> dict[str, Any]:
    """The routes."""
    found = {
        "/v2": _get("server_metadata", "What the server is.", "InferenceServer", 401, 403),
        "/v2/health/live": _get("server_live", "Whether the process is alive.", _live()),
        "/v2/health/ready": _get("server_ready", "Whether a real prediction succeeds now.", _READY, not_ready=True),
    }
    for prefix, suffix, parameters in (
        ("/v2/models/{model}", "", [_part("model")]),
        ("/v2/models/{model}/versions/{version}", "_of_version", [_part("model"), _part("version")]),
    ):
        routes = {
            "": _get(f"model_metadata{suffix}", "What the model is.", "InferenceModel", 401, 403, 404),
            "/ready": _get(f"model_ready{suffix}", "Whether it answers now.", _READY, 401, 403, 404, not_ready=True),
            "/infer": _infer(f"infer{suffix}"),
        }
        for route, operation in routes.items():
            found[prefix + route] = {**operation, "parameters": parameters}
    return found


def _infer(name: str) -> dict[str, Any]:
    return {
        "post": {
            "operationId": name,
            "summary": "Classifies postings, one per row.",
            "parameters": [_HEADER_LENGTH, *HEADERS],
            "security": SECURITY,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": f"{_REFERENCE}InferenceRequest"}}},
            },
            "responses": {
                "200": {
                    "description": "The outputs; in a body of bytes, raw contents follow the JSON document.",
                    "content": {
                        "application/json": {"schema": {"$ref": f"{_REFERENCE}InferenceResponse"}},
                        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                    },
                },
                **_refusals(*_REFUSALS),
            },
        }
    }


def _get(
    name: str, summary: str, answer: str | dict[str, Any], *statuses: int, not_ready: bool = False
) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE + answer} if isinstance(answer, str) else answer
    responses = {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}}
    if not_ready:
        responses["503"] = {"description": "It is not.", "content": {"application/json": {"schema": schema}}}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "responses": {**responses, **_refusals(*statuses)},
            **({"security": SECURITY} if statuses else {}),
        }
    }


def _refusals(*statuses: int) -> dict[str, Any]:
    return {
        str(status): {
            "description": _REFUSALS[status],
            "content": {"application/json": {"schema": {"$ref": f"{_REFERENCE}InferenceError"}}},
            **({"headers": RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in statuses
    }


def _input(max_rows: int) -> dict[str, Any]:
    value = {"type": ["string", "number", "null"]}
    return _object(
        name={"type": "string", "enum": list(postings.DATATYPES)},
        datatype={"type": "string", "enum": sorted(set(postings.DATATYPES.values()))},
        shape={
            "description": "[rows] or [rows, 1].",
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": max_rows},
            "minItems": 1,
            "maxItems": 2,
        },
        optional={
            "parameters": _PARAMETERS,
            "data": {"type": "array", "items": {"anyOf": [value, {"type": "array", "items": value}]}},
        },
    )


def _live() -> dict[str, Any]:
    return _object(live={"type": "boolean"})


def _part(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[^/]+$"}}


def _object(optional: dict[str, Any] | None = None, **required: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}
