"""The methods of the gRPC interface."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc.aio import ServicerContext

from plumbline import __version__
from serving.errors import RequestRefusedError
from serving.http.classify import broken
from serving.http.front import Front
from serving.http.headers import MAX_BUDGET_MS, REQUEST_ID, assignment_key_of, budget_of, new_request_id, request_id_of
from serving.oip import metadata
from serving.oip import open_inference_pb2 as messages
from serving.oip.grpc_codec import decode, encode, parse
from serving.oip.grpc_status import code_of, trailers_of
from serving.oip.inference import Call, Inference, finish_trace

SERVICE = "inference.GRPCInferenceService"

_Request = TypeVar("_Request")
_log = logging.getLogger(__name__)


class OpenInferenceGrpc:
    """The service of the protocol.

    Args:
        front: The engine, and what stands before it.
    """

    def __init__(self, front: Front) -> None:
        self._front = front
        self._max_rows = front.settings.max_batch_postings
        self._inference = Inference(
            front.engine, front.guard, batch_budget=front.settings.batch_latency_budget_ms / 1000
        )

    def handler(self) -> grpc.GenericRpcHandler:
        """The handlers of all methods, by their names."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "ServerLive": self._method(self._server_live, messages.ServerLiveRequest.FromString),
                "ServerReady": self._method(self._server_ready, messages.ServerReadyRequest.FromString),
                "ModelReady": self._method(self._model_ready, messages.ModelReadyRequest.FromString),
                "ServerMetadata": self._method(self._server_metadata, messages.ServerMetadataRequest.FromString),
                "ModelMetadata": self._method(self._model_metadata, messages.ModelMetadataRequest.FromString),
                # Read by the method itself, so that a client without a key has nothing parsed.
                "ModelInfer": self._method(self._model_infer, None),
            },
        )

    def _method(
        self,
        answer: Callable[[_Request, ServicerContext, Call], Awaitable[Message]],
        deserializer: Callable[[bytes], _Request] | None,
    ) -> grpc.RpcMethodHandler:
        """A method that answers, or ends with the status of its refusal."""

        async def method(request: _Request, context: ServicerContext) -> Message | None:
            call = Call(time.monotonic(), new_request_id())
            found: Message | None = None
            try:
                found = await answer(request, context, call)
                refusal = None
            except RequestRefusedError as error:
                refusal = error
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and the log says it
                _log.exception("A request broke the endpoint.", extra={"request_id": call.request_id})
                refusal = broken(error)
            if call.trace is not None:
                finish_trace(self._front.tracing, call, refusal)
            if refusal is None:
                return found
            self._front.refused(
                refusal, call.request_id, model=call.model, client=None if call.client is None else call.client.id
            )
            return await context.abort(code_of(refusal), refusal.detail, trailers_of(refusal))

        return grpc.unary_unary_rpc_method_handler(
            method, request_deserializer=deserializer, response_serializer=_serialize
        )

    async def _server_live(
        self, _request: messages.ServerLiveRequest, _context: ServicerContext, _call: Call
    ) -> Message:
        return messages.ServerLiveResponse(live=True)

    async def _server_ready(
        self, _request: messages.ServerReadyRequest, _context: ServicerContext, _call: Call
    ) -> Message:
        return messages.ServerReadyResponse(ready=await self._ready())

    async def _model_ready(self, request: messages.ModelReadyRequest, context: ServicerContext, _: Call) -> Message:
        self._admit(context)
        self._inference.lane(request.name, request.version)
        return messages.ModelReadyResponse(ready=await self._ready())

    async def _server_metadata(
        self, _request: messages.ServerMetadataRequest, context: ServicerContext, _call: Call
    ) -> Message:
        self._admit(context)
        return messages.ServerMetadataResponse(
            name=metadata.SERVER_NAME, version=__version__, extensions=metadata.EXTENSIONS
        )

    async def _model_metadata(
        self, request: messages.ModelMetadataRequest, context: ServicerContext, _call: Call
    ) -> Message:
        self._admit(context)
        lane = self._inference.lane(request.name, request.version)
        found = messages.ModelMetadataResponse(
            name=lane.name, versions=[lane.variants.champion.current.version], platform=metadata.PLATFORM
        )
        for tensor in metadata.inputs():
            found.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for tensor in metadata.outputs_of(lane):
            found.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        return found

    async def _model_infer(self, content: bytes, context: ServicerContext, call: Call) -> Message:
        headers = _headers(context)
        call.read = call.received
        call.trace = self._front.tracing.begin(headers, call.received)
        if REQUEST_ID in headers:
            call.request_id = request_id_of(headers)
        client = self._front.guard.admit(headers, "classify", peer=_peer(context), postings=0)
        call.client = client
        call.budget = min(budget_of(headers, math.inf), _time_left(context))
        call.assignment_key = assignment_key_of(headers)
        request = decode(parse(content), max_rows=self._max_rows)
        return encode(await self._inference.infer(request, call, client))

    async def _ready(self) -> bool:
        return not self._front.drain.requested and await self._front.engine.unready_because() is None

    def _admit(self, context: ServicerContext) -> None:
        self._front.guard.admit(_headers(context), "models", peer=_peer(context), postings=0)


def _serialize(message: Message) -> bytes:
    content: bytes = message.SerializeToString()
    return content


def _headers(context: ServicerContext) -> dict[bytes, bytes]:
    """Metadata by name; names are in small letters already, values of names that end in `-bin` are bytes."""
    found: Any = context.invocation_metadata()
    return {name.encode(): value.encode() if isinstance(value, str) else value for name, value in found}


def _time_left(context: ServicerContext) -> float:
    """Seconds until the deadline; without one, or with a distant one, what any request may take at most."""
    left = context.time_remaining()
    return math.inf if left is None else min(left, MAX_BUDGET_MS / 1000)


def _peer(context: ServicerContext) -> str:
    """Address of the client, as HTTP names it: of `ipv4:127.0.0.1:4711`, or of `ipv6:%5B::1%5D:4711`."""
    return str(context.peer()).partition(":")[2].rpartition(":")[0].removeprefix("%5B").removesuffix("%5D")
