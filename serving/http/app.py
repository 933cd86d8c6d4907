"""The HTTP interface: FastAPI's schema and routes, without its per-request machinery on the one hot route."""

from __future__ import annotations

import time
import uuid
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from plumbline import __version__
from plumbline.data.contract import PostingRequest
from plumbline.data.masking import MASKED_FIELDS, mask_text
from serving.engine.endpoint import Endpoint
from serving.errors import RequestRefusedError
from serving.http.answers import Classification, Models, Problem
from serving.http.drain import ClosingConnections
from serving.http.problems import explain_invalid, problem_response

BUDGET_HEADER = "x-latency-budget-ms"
REQUEST_ID_HEADER = "x-request-id"
_MAX_BUDGET_MS = 60_000
_MAX_REQUEST_ID = 128

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The body is not JSON, or a header has a wrong value.",
        413: "The body is too large.",
        422: "The posting breaks the contract.",
        500: "The model cannot answer this posting.",
        503: "The answer would come too late, or could not be logged. Retry-After says when to try again.",
    }.items()
}

_BODY = {"required": True, "content": {"application/json": {"schema": PostingRequest.model_json_schema()}}}


def build_app(endpoint: Endpoint) -> FastAPI:
    """The ASGI application of one replica."""
    app = FastAPI(title="Plumbline: classify job postings", version=__version__)
    if endpoint.drain.possible:
        app.add_middleware(ClosingConnections, drain=endpoint.drain)

    # FastAPI parses a declared body field by field; taking the bytes lets pydantic validate them in one go.
    @app.post("/v1/classify", response_model=Classification, responses=_PROBLEMS, openapi_extra={"requestBody": _BODY})
    async def classify(request: Request) -> Response:
        """Classifies one posting."""
        received = time.monotonic()
        request_id = request.headers.get(REQUEST_ID_HEADER) or uuid.uuid4().hex
        try:
            body = await _answer(endpoint, request, request_id, received)
        except RequestRefusedError as error:
            endpoint.metrics.refused(error.status)
            return problem_response(error, request_id[:_MAX_REQUEST_ID])
        return Response(body, media_type="application/json")

    @app.get("/v1/models")
    async def models() -> Models:
        """The served model: name, version, digest, since when."""
        return Models(models=[endpoint.model_status()])

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process is alive."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> Response:
        """Whether a real prediction, features included, succeeds now, and no drain is asked for. It is not logged."""
        reason = await endpoint.unready_because()
        return JSONResponse({"ready": reason is None, "reason": reason}, 200 if reason is None else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus metrics."""
        return PlainTextResponse(endpoint.metrics.exposition(), media_type="text/plain; version=0.0.4")

    return app


async def _answer(endpoint: Endpoint, request: Request, request_id: str, received: float) -> bytes:
    if len(request_id) > _MAX_REQUEST_ID:
        raise RequestRefusedError(
            400, "invalid-header", f"X-Request-ID is longer than {_MAX_REQUEST_ID} characters. Send a shorter one."
        )
    budget = _budget(request, endpoint.budget_seconds)
    body = await _body(request, endpoint.max_body_bytes)
    try:
        posting = PostingRequest.model_validate_json(body)
    except ValidationError as error:
        raise explain_invalid(error) from error
    # As ingestion does: the model was trained on masked text, and the log must not hold personal details.
    masked = posting.model_copy(update={name: mask_text(getattr(posting, name)) for name in MASKED_FIELDS})
    return await endpoint.classify(masked, request_id, received, budget)


def _budget(request: Request, default: float) -> float:
    text = request.headers.get(BUDGET_HEADER)
    if text is None:
        return default
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds <= _MAX_BUDGET_MS:
        raise RequestRefusedError(
            400, "invalid-header", f"{BUDGET_HEADER} is {text!r}: give milliseconds from 1 to {_MAX_BUDGET_MS}."
        )
    return milliseconds / 1000


async def _body(request: Request, limit: int) -> bytes:
    """The body, read no further than the limit."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> RequestRefusedError:
    return RequestRefusedError(413, "body-too-large", f"The body is larger than {limit} bytes. Shorten the posting.")
