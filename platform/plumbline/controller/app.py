"""The controller's HTTP side: the alert webhook, and what it knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from plumbline import __version__
from plumbline.alerts.reading import DeliveryRefusedError, TooManyAlertsError, read_delivery
from plumbline.alerts.webhook import WebhookMessage
from plumbline.controller import intake
from plumbline.controller.health import describe
from plumbline.controller.loop import Loop
from plumbline.controller.metrics import render
from plumbline.controller.problem import ProblemError
from plumbline.controller.state import ControllerState
from plumbline.errors import DependencyError
from plumbline.settings import Settings

_MOST_BYTES = 4 * 1024 * 1024
_RETRY_SECONDS = 30
_LOOP_ENDED = "The retraining loop has ended. Restart the controller; its log says why it did."
_Result = TypeVar("_Result")


def create_app(settings: Settings, state: ControllerState, loop: Loop) -> FastAPI:
    """The application; the loop runs as long as it does.

    Alertmanager sends a delivery again after a 5xx and drops it after a 4xx. So what can be taken later is a 503, and
    what would be refused again is a 4xx; an alert that cannot be read is neither, it is told in the answer.
    """

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(loop.start)
        yield
        await run_in_threadpool(loop.stop)

    app = FastAPI(title="Plumbline controller", version=__version__, lifespan=running, docs_url=None, redoc_url=None)
    # Deliveries wait for each other outside the threads that all other answers come from.
    one_delivery = asyncio.Lock()

    async def with_state(call: Callable[[], _Result]) -> _Result:
        try:
            return await run_in_threadpool(call)
        except DependencyError as error:
            retry = {"Retry-After": str(_RETRY_SECONDS)}
            raise ProblemError(503, "The state cannot be used now", str(error), retry) from error

    @app.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> Response:
        return error.response()

    @app.post("/webhook/alertmanager", openapi_extra=_WEBHOOK)
    async def webhook(request: Request) -> Response:
        content = await _body(request)
        try:
            async with one_delivery:
                taken = await with_state(lambda: intake.take(read_delivery(content), state, settings))
        except TooManyAlertsError as error:
            raise ProblemError(413, "The delivery has too many alerts", str(error)) from error
        except DeliveryRefusedError as error:
            raise ProblemError(422, "Not a delivery of alerts", str(error)) from error
        loop.wake()
        return JSONResponse({"alerts": [vars(each) for each in taken]})

    @app.get("/status")
    async def status() -> Response:
        known = await with_state(lambda: describe(settings, state))
        if not loop.alive:
            known["controller"] |= {"works": False, "message": _LOOP_ENDED}
        return JSONResponse(known)

    @app.get("/events")
    async def events(limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> Response:
        return JSONResponse({"events": await with_state(lambda: state.events(limit=limit))})

    @app.get("/healthz")
    async def healthz() -> Response:
        if not loop.alive:
            raise ProblemError(503, "It does not work", _LOOP_ENDED)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def metrics() -> Response:
        content, media_type = await with_state(lambda: render(state))
        return Response(content, media_type=media_type)

    return app


_WEBHOOK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": WebhookMessage.model_json_schema(by_alias=True)}},
    },
    "responses": {
        str(status): {"description": what, "content": {"application/problem+json": {}}}
        for status, what in (
            (413, "Too large: group by more labels, or set `max_alerts`"),
            (422, "No delivery of alerts; it is not to be sent again"),
            (503, "The state cannot be used now; it is to be sent again"),
        )
    },
}


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _MOST_BYTES:
            raise ProblemError(
                413,
                "The payload is too large",
                f"At most {_MOST_BYTES} bytes are taken. Set `max_alerts` in the receiver's webhook_config, or group "
                "by more labels.",
            )
    return bytes(content)
