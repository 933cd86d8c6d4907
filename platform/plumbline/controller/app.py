"""The controller's HTTP side: the alert webhook, and what it knows."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from plumbline import __version__
from plumbline.alerts.webhook import WebhookMessage
from plumbline.controller import intake
from plumbline.controller.loop import Loop
from plumbline.controller.metrics import render
from plumbline.controller.state import ControllerState
from plumbline.errors import UserError
from plumbline.settings import Settings

_MOST_BYTES = 4 * 1024 * 1024


class _ProblemError(Exception):
    """An answer in the form of RFC 9457."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


def create_app(settings: Settings, state: ControllerState, loop: Loop) -> FastAPI:
    """The application; the loop runs as long as it does."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(loop.start)
        yield
        await run_in_threadpool(loop.stop)

    app = FastAPI(title="Plumbline controller", version=__version__, lifespan=running)
    one_at_a_time = threading.Lock()

    @app.exception_handler(_ProblemError)
    async def problem(_: Request, error: _ProblemError) -> JSONResponse:
        content = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.detail}
        return JSONResponse(content, status_code=error.status, media_type="application/problem+json")

    @app.post("/webhook/alertmanager")
    async def webhook(request: Request) -> dict[str, Any]:
        message = _parse(await _body(request))

        def take() -> list[dict[str, str | int | None]]:
            # Two deliveries at once must not both find that nothing is under way.
            with one_at_a_time:
                return intake.take(message, state, settings)

        try:
            answers = await run_in_threadpool(take)
        except UserError as error:
            raise _ProblemError(422, "The alert cannot be used", str(error)) from error
        loop.wake()
        return {"alerts": answers}

    @app.get("/status")
    def status() -> dict[str, Any]:
        return describe(state)

    @app.get("/events")
    def events(limit: int = 200) -> dict[str, Any]:
        return {"events": state.events(limit=max(1, min(limit, 10_000)))}

    @app.get("/healthz")
    def healthz() -> Response:
        if not loop.alive:
            raise _ProblemError(503, "The retraining loop has ended", "Restart the controller.")
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    def metrics() -> Response:
        content, media_type = render(state)
        return Response(content, media_type=media_type)

    return app


def describe(state: ControllerState) -> dict[str, Any]:
    """Every retraining, oldest first, and every alert, latest first."""
    return {"retrainings": [each.to_json() for each in state.retrainings()], "alerts": state.alerts()}


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _MOST_BYTES:
            raise _ProblemError(413, "The payload is too large", f"At most {_MOST_BYTES} bytes are taken.")
    return bytes(content)


def _parse(content: bytes) -> WebhookMessage:
    try:
        return WebhookMessage.model_validate(json.loads(content))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise _ProblemError(422, "Not an Alertmanager webhook payload, version 4", found) from error
    except ValueError as error:
        raise _ProblemError(422, "Not JSON", str(error)) from error
