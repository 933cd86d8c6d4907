"""Which hot route a path is, by the served models."""

from __future__ import annotations

import re
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from serving.errors import RequestRefusedError
from serving.http.classify import Classify, ClassifyBatch, peer_of
from serving.http.front import Front
from serving.http.headers import new_request_id
from serving.http.problems import problem_answer

_OF_A_MODEL = re.compile(r"/v1/models/([^/]+)/classify(?::batch)?")


class HotRoutes:
    """The classify routes of every served model; the default model's have a short name besides."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.by_path: dict[str, Classify] = {}
        default = front.engine.lane()
        for lane in front.engine.lanes.values():
            one, many = Classify(front, lane), ClassifyBatch(front, lane)
            prefixes = ["/v1"] if lane is default else []
            for prefix in (*prefixes, f"/v1/models/{lane.name}"):
                self.by_path[f"{prefix}/classify"] = one
                self.by_path[f"{prefix}/classify:batch"] = many

    async def refuse(self, scope: Scope, _receive: Receive, send: Send) -> bool:
        """Answers a request for a classify route that is none: a model that is not served, a method that is not POST.

        Returns:
            Whether it was one.
        """
        error = self._refusal(scope)
        if error is None:
            return False
        request_id = new_request_id()
        self._front.refused(error, request_id)
        headers, body = problem_answer(error, request_id)
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"POST"))
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return True

    def _refusal(self, scope: Scope) -> RequestRefusedError | None:
        path = scope["path"]
        if path in self.by_path:
            return RequestRefusedError(405, "method-not-allowed", "Postings are sent with POST.")
        found = _OF_A_MODEL.fullmatch(path)
        if found is not None:
            try:
                # Which models there are is not for everybody to know.
                self._front.guard.admit(dict(scope["headers"]), "classify", peer=peer_of(scope), postings=0)
                self._front.engine.lane(found.group(1))
            except RequestRefusedError as refusal:
                return refusal
        return None
