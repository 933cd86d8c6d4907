"""The ASGI application of one replica: the hot routes, and behind them a FastAPI with the schema and the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbline import __version__
from serving.errors import RequestRefusedError
from serving.http import schema
from serving.http.answers import Alive, Models, ModelStatus, Readiness, Root
from serving.http.classify import broken, peer_of
from serving.http.drain import ClosingConnections
from serving.http.front import Front
from serving.http.headers import new_request_id
from serving.http.page import HEADERS, docs_page
from serving.http.problems import MEDIA_TYPE, problem_answer
from serving.http.routes import HotRoutes
from serving.oip import openapi

_TITLE = "Plumbline: classify job postings"
_LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "models": "/v1/models",
    "ready": "/readyz",
    "metrics": "/metrics",
}


class Application:
    """Sends a request to its route.

    Args:
        hot: Answers POST by path, before anything else is looked at.
        mounted: Applications by the first part of the path, such as `/v2`.
        cold: Everything else.
    """

    def __init__(self, hot: HotRoutes, mounted: Mapping[str, ASGIApp], cold: ASGIApp) -> None:
        self._hot = hot
        self._by_path = hot.by_path
        self._mounted = tuple(mounted.items())
        self._cold = cold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the lifespan of the server is the cold application's."""
        if scope["type"] != "http":
            await self._cold(scope, receive, send)
            return
        path = scope["path"]
        route = self._by_path.get(path)
        if route is not None and scope["method"] == "POST":
            await route(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # of which the server sends no more than the head
        for prefix, app in self._mounted:
            if path.startswith(prefix):
                await app(scope, receive, send)
                return
        if not await self._hot.refuse(scope, receive, send):
            await self._cold(scope, receive, send)


def build_app(front: Front, routes: HotRoutes, mounted: Mapping[str, ASGIApp]) -> ASGIApp:
    """The ASGI application of one replica.

    Args:
        front: The engine, and what stands before it.
        routes: The classify routes.
        mounted: More interfaces, by the first part of their paths.
    """
    app: ASGIApp = Application(routes, mounted, _cold(front))
    return ClosingConnections(app, front.drain) if front.drain.possible else app


def _cold(front: Front) -> FastAPI:
    # Not FastAPI's page of the schema: its scripts would come from somebody else's server.
    app = FastAPI(title=_TITLE, version=__version__, docs_url=None, redoc_url=None)

    def may_see_models(request: Request) -> None:
        front.guard.admit(dict(request.scope["headers"]), "models", peer=peer_of(request.scope), postings=0)

    @app.get(
        "/v1/models",
        dependencies=[Depends(may_see_models)],
        responses=schema.problems(401, 403),
        openapi_extra={"security": schema.SECURITY},
    )
    async def models() -> Models:
        """The served models: name, role, version, digest, since when."""
        lanes = front.engine.lanes.values()
        return Models(models=[ModelStatus.model_validate(status) for lane in lanes for status in lane.status()])

    @app.get("/")
    async def root() -> Root:
        """What this is, which models it serves (where keys are asked for, `/v1/models` says it), and where to go on."""
        names = [] if front.guard.required else list(front.engine.lanes)
        return Root(name=_TITLE, version=__version__, models=names, links=_LINKS)

    @app.get("/docs", response_class=HTMLResponse)
    async def docs() -> Response:
        """The schema as a page for people."""
        return HTMLResponse(docs_page(app.openapi()), headers=HEADERS)

    @app.get("/healthz")
    async def healthz() -> Alive:
        """Whether the process is alive."""
        return Alive(status="alive")

    @app.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
    async def readyz() -> Response:
        """Whether a real prediction, features included, succeeds now, and no drain is asked for. It is not logged."""
        reason = "draining" if front.drain.requested else await front.engine.unready_because()
        return JSONResponse({"ready": reason is None, "reason": reason}, 200 if reason is None else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus metrics."""
        return PlainTextResponse(front.metrics.exposition(), media_type="text/plain; version=0.0.4")

    def problem_response(error: RequestRefusedError) -> Response:
        request_id = new_request_id()
        front.refused(error, request_id)
        headers, body = problem_answer(error, request_id)
        response = Response(body, error.status, media_type=MEDIA_TYPE)
        response.raw_headers = headers
        return response

    @app.exception_handler(RequestRefusedError)
    async def refused(_: Request, error: RequestRefusedError) -> Response:
        return problem_response(error)

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, error: HTTPException) -> Response:
        title = str(error.detail).lower().replace(" ", "-")
        response = problem_response(
            RequestRefusedError(error.status_code, title, "See /docs or /openapi.json for what there is.")
        )
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        return problem_response(broken(error))

    app.openapi = _document(app, front)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI, front: Front) -> Callable[[], dict[str, Any]]:
    """The schema of the cold routes, and those in front of them."""

    max_postings = front.settings.max_batch_postings

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=_TITLE, version=__version__, routes=app.routes)
            document["paths"] = {**schema.paths(max_postings), **openapi.paths(), **document["paths"]}
            parts = document.setdefault("components", {})
            parts.setdefault("schemas", {}).update(schema.components() | openapi.components(max_postings))
            parts["securitySchemes"] = schema.SECURITY_SCHEMES
            if front.guard.required:
                _require_keys(document["paths"])
            app.openapi_schema = document
        return app.openapi_schema

    return build


def _require_keys(paths: dict[str, Any]) -> None:
    for path in paths.values():
        for operation in path.values():
            if "security" in operation:
                operation["security"] = schema.NEEDED
