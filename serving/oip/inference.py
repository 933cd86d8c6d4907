"""What REST and gRPC share: from a request's tensors to its answers' tensors."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from serving.access.client import Client
from serving.access.guard import Guard
from serving.engine.engine import Engine
from serving.engine.lane import Lane
from serving.engine.query import Answer, Query
from serving.errors import RequestRefusedError
from serving.http.classify import note_timings
from serving.oip import outputs
from serving.oip.outputs import OutputTensor
from serving.oip.postings import postings_of, require_whole
from serving.oip.request import InferRequest
from serving.telemetry.tracing import RequestTrace, Tracing


@dataclass(slots=True)
class Call:
    """What is known of a call beside its tensors; filled on the way, so that a refusal can say what there is."""

    received: float
    """`time.monotonic()`."""

    request_id: str
    """Names the answer in the log. The id in the request takes the place of the header's."""

    client: Client | None = None
    model: str = ""
    """Name of a served model."""

    budget: float = math.inf
    """Seconds that deadline or header give; infinite leaves it to the server."""

    assignment_key: str = ""
    trace: RequestTrace | None = None
    read: float = 0.0
    """`time.monotonic()` at which the message was there."""


@dataclass(slots=True)
class InferResponse:
    """What a client is answered."""

    model: str
    version: str
    """Empty where several versions have answered."""

    id: str
    """As the client gave it, else empty."""

    outputs: list[OutputTensor]


def finish_trace(tracing: Tracing, call: Call, refusal: RequestRefusedError | None) -> None:
    """Makes the spans of a traced call that is over."""
    assert call.trace is not None
    attributes = {"request_id": call.request_id, "model": call.model}
    tracing.finish(call.trace, "infer", attributes, failed=None if refusal is None else refusal.title)


class Inference:
    """Answers inference requests.

    Args:
        engine: The served models.
        guard: Counts postings against their client's rate.
        batch_budget: Seconds for a request of several rows that brings no budget.
    """

    def __init__(self, engine: Engine, guard: Guard, *, batch_budget: float) -> None:
        self._engine = engine
        self._guard = guard
        self._batch_budget = batch_budget

    def lane(self, model: str, version: str) -> Lane:
        """The lane of a served model and version.

        Raises:
            RequestRefusedError: 404, the model or the version is not served.
        """
        lane = self._engine.lane(model)
        _require_version(lane, version, lane.variants.champion.current.version)
        return lane

    async def infer(self, request: InferRequest, call: Call, client: Client) -> InferResponse:
        """Classifies each row. All are answered, or the request is refused.

        Args:
            request: What is asked.
            call: Around it. The ids of several rows are its id, `/` and the row.
            client: Who asks.

        Raises:
            RequestRefusedError: 400 wrong tensors, 404 unknown model or version, 422 a row breaks the contract,
                429 rate, 500 the model cannot answer, 503 overload, 504 too late.
        """
        lane = self.lane(request.model, request.version)
        call.model, call.request_id = lane.name, request.id or call.request_id
        outputs.check(request.outputs)
        rows = require_whole(request.inputs)
        self._guard.charge(client, rows)
        row_ids = _row_ids(call.request_id, rows)
        budget = min(request.timeout, call.budget)
        if budget == math.inf:
            budget = lane.budget_seconds if rows == 1 else self._batch_budget
        # Before the work of reading the row: under overload, refusing has to cost little.
        if rows == 1 and (overloaded := lane.overloaded(budget)) is not None:
            raise overloaded
        postings = await postings_of(request.inputs, row_ids)
        queries = [
            Query(
                posting,
                row_id,
                call.received,
                call.received + budget,
                client=client.id,
                assignment_key=call.assignment_key,
                pinned=bool(request.version),
            )
            for posting, row_id in zip(postings, row_ids, strict=True)
        ]
        answers = await _answers(lane, queries, call)
        versions = {answer.model_version for answer in answers}
        for version in versions:
            _require_version(lane, request.version, version)  # another may have become champion meanwhile
        return InferResponse(
            lane.name,
            versions.pop() if len(versions) == 1 else "",
            request.id,
            outputs.tensors_of(answers, request.outputs, binary=request.binary),
        )


async def _answers(lane: Lane, queries: Sequence[Query], call: Call) -> list[Answer]:
    parsed = time.monotonic()
    answers = [await lane.answer(queries[0])] if len(queries) == 1 else _all(await lane.answer_all(queries))
    if call.trace is not None:
        call.trace.stage("read", call.received, call.read)
        call.trace.stage("parse", call.read, parsed)
        if len(answers) == 1:
            note_timings(call.trace, parsed, answers[0].timings)
        else:
            call.trace.stage("answer", parsed, time.monotonic())
    return answers


def _require_version(lane: Lane, wanted: str, served: str) -> None:
    if wanted and wanted != served:
        raise RequestRefusedError(
            404, "unknown-version", f"The version {wanted[:64]} of {lane.name} is not served here. Served is {served}."
        )


def _row_ids(request_id: str, rows: int) -> list[str]:
    return [request_id] if rows == 1 else [f"{request_id}/{row}" for row in range(rows)]


def _all(answers: Sequence[Answer | RequestRefusedError]) -> list[Answer]:
    """Every answer; the protocol has no answer for a part of the rows.

    Raises:
        RequestRefusedError: That of the first row without an answer, which it names.
    """
    found = []
    for row, answer in enumerate(answers):
        if isinstance(answer, RequestRefusedError):
            raise RequestRefusedError(
                answer.status,
                answer.title,
                f"Row {row}: {answer.detail}",
                fields=answer.fields,
                retry_after=answer.retry_after,
            )
        found.append(answer)
    return found
