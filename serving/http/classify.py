"""The hot routes: one posting, and a batch of them. Plain ASGI, without a framework's work per request."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from serving.engine.intake import parse_posting, parse_postings
from serving.engine.lane import Lane
from serving.engine.query import Answer, Query, Timings
from serving.errors import RequestRefusedError
from serving.http.bodies import read_body
from serving.http.exchange import RECEIVED, respond
from serving.http.front import Front
from serving.http.headers import assignment_key_of, budget_of, check_json, new_request_id, request_id_of
from serving.http.problems import problem, problem_answer
from serving.telemetry.tracing import RequestTrace

_UNAVAILABLE = 503
_JSON = (b"content-type", b"application/json")
_log = logging.getLogger(__name__)


class Classify:
    """Answers one posting by one model.

    Args:
        front: The engine, and what stands before it.
        lane: The model.
    """

    _name = "classify"

    def __init__(self, front: Front, lane: Lane) -> None:
        settings = front.settings
        self.lane = lane
        self.budget_seconds = lane.budget_seconds
        self._front = front
        self._max_depth = settings.http.max_json_depth
        self._max_bytes = settings.max_body_bytes

    def overloaded(self, budget: float, coming: int) -> RequestRefusedError | None:
        """The refusal that a request would get now; None if it would be let in.

        Args:
            budget: Seconds that it has left.
            coming: Requests that were told that they would be let in and are not there yet.
        """
        return self.lane.overloaded(budget, coming=coming)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        begun = time.monotonic()
        received: float = scope.get(RECEIVED, begun)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        notes = self._front.tracing.begin(headers, received)
        if notes is not None:
            notes.stage("ingress", received, begun)
        request_id = ""
        refusal: RequestRefusedError | None = None
        try:
            request_id = request_id_of(headers)
            body = await self._answer(scope, headers, receive, request_id, received, notes)
        except RequestRefusedError as error:
            refusal = error
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and the log says it
            _log.exception("A request broke the endpoint.", extra={"request_id": request_id})
            refusal = broken(error)
        answered = time.monotonic() if notes is not None else 0.0
        if refusal is None:
            await respond(scope, send, 200, [_JSON, (b"content-length", b"%d" % len(body))], body)
        else:
            request_id = request_id or new_request_id()
            await self._refuse(scope, send, refusal, request_id)
        if notes is not None:
            if refusal is None:
                notes.stage("respond", answered, time.monotonic())
            failed = None if refusal is None else refusal.title
            attributes = {"request_id": request_id, "model": self.lane.name}
            self._front.tracing.finish(notes, self._name, attributes, failed=failed)

    async def _answer(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        request_id: str,
        received: float,
        notes: RequestTrace | None,
    ) -> bytes:
        client = self._front.guard.admit(headers, "classify", peer=peer_of(scope))
        budget = budget_of(headers, self.budget_seconds)
        key = assignment_key_of(headers)
        check_json(headers)
        content = await read_body(headers, receive, self._max_bytes)
        read = time.monotonic() if notes is not None else 0.0
        posting = parse_posting(content, max_depth=self._max_depth)
        parsed = time.monotonic() if notes is not None else 0.0
        query = Query(posting, request_id, received, received + budget, client.id, key)
        answer = await self.lane.answer(query)
        if notes is not None:
            notes.stage("read", notes.stages[0][2], read)
            notes.stage("parse", read, parsed)
            note_timings(notes, parsed, answer.timings)
        return answer.body()

    async def _refuse(self, scope: Scope, send: Send, error: RequestRefusedError, request_id: str) -> None:
        self._front.refused(error, request_id, model=self.lane.name)
        headers, body = problem_answer(error, request_id)
        if error.status == 413:
            headers.append((b"connection", b"close"))  # the rest of it is not worth reading
        await respond(scope, send, error.status, headers, body)


class ClassifyBatch(Classify):
    """Answers many postings by one model; each gets its answer or its problem, in their order."""

    _name = "classify:batch"

    def __init__(self, front: Front, lane: Lane) -> None:
        super().__init__(front, lane)
        settings = front.settings
        self.budget_seconds = settings.batch_latency_budget_ms / 1000
        self._max_bytes = settings.max_batch_body_bytes
        self._max_postings = settings.max_batch_postings

    def overloaded(self, budget: float, coming: int) -> RequestRefusedError | None:
        """As for one posting, by what batches wait for: how many postings this one holds nobody knows yet."""
        return self.lane.overloaded_in_bulk(budget, queries=coming + 1)

    async def _answer(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        request_id: str,
        received: float,
        notes: RequestTrace | None,
    ) -> bytes:
        client = self._front.guard.admit(headers, "classify", peer=peer_of(scope), postings=0)
        budget = budget_of(headers, self.budget_seconds)
        key = assignment_key_of(headers)
        check_json(headers)
        body = await read_body(headers, receive, self._max_bytes)
        read = time.monotonic()
        postings = await parse_postings(body, limit=self._max_postings, max_depth=self._max_depth)
        self._front.guard.charge(client, len(postings))
        deadline = received + budget
        parsed = time.monotonic()
        answers = await self.lane.answer_all(
            [
                Query(posting, f"{request_id}/{row}", received, deadline, client.id, key)
                for row, posting in enumerate(postings)
            ]
        )
        if notes is not None:
            notes.stage("read", notes.stages[0][2], read)
            notes.stage("parse", read, parsed)
            notes.stage("answer", parsed, time.monotonic())
        _raise_if_none_was_tried(answers)
        return (
            b'{"results":['
            + b",".join(_item(answer, f"{request_id}/{row}") for row, answer in enumerate(answers))
            + b"]}"
        )


def peer_of(scope: Scope) -> str:
    """Address of the client; empty where the server does not know it."""
    client = scope.get("client")
    return client[0] if client else ""


def broken(error: Exception) -> RequestRefusedError:
    """What a client is told of a fault that is ours: its kind, nothing of what it says."""
    return RequestRefusedError(
        500, "internal-error", f"The endpoint broke ({type(error).__name__}). Its log says more, by the request's id."
    )


def note_timings(notes: RequestTrace, parsed: float, timings: Timings) -> None:
    """Notes the engine's stages. They follow each other; what lies between them is nobody's.

    Args:
        notes: Of the request.
        parsed: `time.monotonic()` at which its query was ready.
        timings: What the engine says; its queue counts from the request's arrival.
    """
    start = notes.received + timings.queue / 1000
    notes.stage("queue", parsed, max(parsed, start))
    for name, milliseconds in (("features", timings.features), ("encode", timings.encode), ("model", timings.model)):
        notes.stage(name, start, start + milliseconds / 1000)
        start += milliseconds / 1000
    done = max(start, notes.received + timings.total / 1000)
    logged = done + timings.log / 1000
    notes.stage("records", start, done)
    notes.stage("log", done, logged)
    notes.stage("hand over", logged, time.monotonic())


def _item(answer: Answer | RequestRefusedError, request_id: str) -> bytes:
    return answer.body() if isinstance(answer, Answer) else orjson.dumps(problem(answer, request_id))


def _raise_if_none_was_tried(answers: Sequence[Answer | RequestRefusedError]) -> None:
    """A batch that came at a bad time as a whole is refused as a whole, so that clients retry it as they would one."""
    first = answers[0]
    if isinstance(first, RequestRefusedError) and all(
        isinstance(answer, RequestRefusedError) and answer.status == _UNAVAILABLE for answer in answers
    ):
        raise first
