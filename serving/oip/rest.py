"""The routes below /v2. Plain ASGI: FastAPI would parse bodies whose second half is not JSON."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from serving.errors import RequestRefusedError
from serving.http.bodies import read_body
from serving.http.classify import broken, peer_of
from serving.http.exchange import RECEIVED, respond
from serving.http.front import Front
from serving.http.headers import REQUEST_ID, assignment_key_of, budget_of, new_request_id, request_id_of
from serving.http.problems import problem_answer
from serving.oip import metadata
from serving.oip.inference import Call, Inference, finish_trace
from serving.oip.rest_codec import HEADER_LENGTH, decode, decompress, encode

Headers = Mapping[bytes, bytes]
_Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

_OF_A_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?")
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_log = logging.getLogger(__name__)


class OpenInferenceRest:
    """Answers requests for paths that begin with /v2.

    Args:
        front: The engine, and what stands before it.
    """

    def __init__(self, front: Front) -> None:
        settings = front.settings
        self._front = front
        self._inference = Inference(front.engine, front.guard, batch_budget=settings.batch_latency_budget_ms / 1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        call = Call(scope.get(RECEIVED, time.monotonic()), new_request_id())
        refusal: RequestRefusedError | None = None
        try:
            status, more, body = await self._answer(scope, headers, receive, call)
        except RequestRefusedError as error:
            refusal = error
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and the log says it
            _log.exception("A request broke the endpoint.", extra={"request_id": call.request_id})
            refusal = broken(error)
        if refusal is not None:
            status, more, body = self._refused(refusal, call)
        more.append((b"content-length", b"%d" % len(body)))
        await respond(scope, send, status, more, body)
        if call.trace is not None:
            finish_trace(self._front.tracing, call, refusal)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, call: Call) -> _Answer:
        path: str = scope["path"].rstrip("/")
        found = _OF_A_MODEL.fullmatch(path)
        if found is not None and found[3] == "infer":
            _require_method(scope, "POST")
            return await self._infer(scope, headers, receive, call, found[1], found[2] or "")
        if found is None and path not in ("/v2", "/v2/health/live", "/v2/health/ready"):
            raise RequestRefusedError(404, "not-found", f"There is no {path[:128]} in this server's protocol.")
        _require_method(scope, "GET")  # or HEAD, which comes as GET
        if path == "/v2/health/live":
            return _json({"live": True})
        if path == "/v2/health/ready":
            return await self._ready({})
        self._front.guard.admit(headers, "models", peer=peer_of(scope), postings=0)
        if found is None:
            return _json(metadata.server())
        lane = self._inference.lane(found[1], found[2] or "")
        return await self._ready({"name": lane.name}) if found[3] else _json(metadata.model(lane))

    async def _infer(
        self, scope: Scope, headers: Headers, receive: Receive, call: Call, model: str, version: str
    ) -> _Answer:
        settings = self._front.settings
        call.trace = self._front.tracing.begin(headers, call.received)
        if REQUEST_ID in headers:
            call.request_id = request_id_of(headers)
        client = self._front.guard.admit(headers, "classify", peer=peer_of(scope), postings=0)
        call.client = client
        lane = self._inference.lane(model, version)
        call.model = lane.name
        call.budget = budget_of(headers, math.inf)
        call.assignment_key = assignment_key_of(headers)
        limit = settings.max_batch_body_bytes
        body = await read_body(headers, receive, limit)
        call.read = time.monotonic()
        if b"content-encoding" in headers:
            body = decompress(body, headers[b"content-encoding"], limit)
        request = decode(
            body,
            headers.get(HEADER_LENGTH),
            model=lane.name,
            version=version,
            max_rows=settings.max_batch_postings,
        )
        response = await self._inference.infer(request, call, client)
        answer, length = encode(response)
        if length is None:
            return 200, [_JSON], answer
        return 200, [_BINARY, (HEADER_LENGTH, b"%d" % length)], answer

    async def _ready(self, document: dict[str, object]) -> _Answer:
        reason = "draining" if self._front.drain.requested else await self._front.engine.unready_because()
        if reason is None:
            return _json({**document, "ready": True})
        return _json({**document, "ready": False, "error": reason}, 503)

    def _refused(self, error: RequestRefusedError, call: Call) -> _Answer:
        self._front.refused(
            error, call.request_id, model=call.model, client=None if call.client is None else call.client.id
        )
        headers, _ = problem_answer(error, call.request_id)
        told = [header for header in headers if not header[0].startswith(b"content-")]
        if error.status == 413:
            told.append((b"connection", b"close"))  # the rest of it is not worth reading
        elif isinstance(error, _WrongMethodError):
            told.append((b"allow", error.allowed.encode()))
        return error.status, [_JSON, *told], orjson.dumps({"error": error.detail})


class _WrongMethodError(RequestRefusedError):
    def __init__(self, allowed: str) -> None:
        super().__init__(405, "method-not-allowed", f"This path takes {allowed}.")
        self.allowed = allowed


def _require_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise _WrongMethodError(method)


def _json(document: Mapping[str, object], status: int = 200) -> _Answer:
    return status, [_JSON], orjson.dumps(document)
