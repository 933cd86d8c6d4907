"""The gRPC server: messages that tritonclient does not send, access, limits, and its life."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import tritonclient.grpc
import tritonclient.http
from oip_server import Oip, StartOip, columns, with_ports
from pydantic import SecretStr
from serving_standins import WordCountModel
from tritonclient.utils import InferenceServerException

from plumbline.errors import PortBusyError
from plumbline.settings import Settings
from plumbline.settings.serving_access import AccessSettings, RateSettings
from plumbline.settings.serving_telemetry import TelemetrySettings
from serving.oip import grpc_server
from serving.oip import open_inference_pb2 as messages

KEY = "k" * 32
SERVICE = "/inference.GRPCInferenceService/"


@pytest.fixture(scope="module")
def channel(oip: Oip) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{oip.settings.serving.grpc_port}") as channel:
        yield channel


def message(oip: Oip, **values: bytes) -> messages.ModelInferRequest:
    """One posting, its values single ones."""
    found = messages.ModelInferRequest(model_name=oip.model)
    for name, value in ({"board": b"jobs.example", "title": b"Driver", "description": b"Drives."} | values).items():
        tensor = found.inputs.add(name=name, datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(value)
    return found


def infer(channel: grpc.Channel, content: bytes, **how: Any) -> messages.ModelInferResponse:
    answer = channel.unary_unary(f"{SERVICE}ModelInfer")(content, **how)
    return messages.ModelInferResponse.FromString(answer)


def refused(channel: grpc.Channel, content: bytes, code: grpc.StatusCode, **how: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        infer(channel, content, **how)
    assert caught.value.code() is code, caught.value.details()
    return caught.value


def test_single_values_in_place_of_raw_contents(oip: Oip, channel: grpc.Channel) -> None:
    request = message(oip)
    salary = request.inputs.add(name="salary_max", datatype="FP64", shape=[1, 1])
    salary.contents.fp64_contents.append(float("nan"))
    answer = infer(channel, request.SerializeToString())
    assert answer.outputs[0].name == "label"
    assert answer.raw_output_contents[0] == struct.pack("<I", 5) + b"short"


def test_contents_of_another_type_or_of_two(oip: Oip, channel: grpc.Channel) -> None:
    request = message(oip)
    request.inputs[1].contents.int_contents.append(7)
    error = refused(channel, request.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT)
    assert "title" in str(error.details())
    request.inputs[1].contents.ClearField("bytes_contents")
    refused(channel, request.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT)


def test_raw_contents_for_some_inputs_only(oip: Oip, channel: grpc.Channel) -> None:
    request = message(oip)
    request.raw_input_contents.append(struct.pack("<I", 1) + b"x")
    error = refused(channel, request.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT)
    assert "3 inputs and 1 raw_input_contents" in str(error.details())
    request.raw_input_contents.extend([struct.pack("<I", 1) + b"x"] * 2)
    refused(channel, request.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "ends in row 0"),
        (b"\x06\x00\x00", "ends in row 0"),
        (struct.pack("<I", 2**32 - 1) + b"x", "ends in row 0"),
        (struct.pack("<I", 1) + b"xyz", "2 bytes more"),
    ],
)
def test_truncated_raw_contents(oip: Oip, channel: grpc.Channel, raw: bytes, says: str) -> None:
    request = message(oip)
    for tensor in request.inputs:
        tensor.ClearField("contents")
    request.raw_input_contents.extend([struct.pack("<I", 1) + b"x", raw, struct.pack("<I", 1) + b"x"])
    error = refused(channel, request.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT)
    assert "title" in str(error.details())
    assert says in str(error.details())


@pytest.mark.parametrize("content", [b"\xff\xff\xff", b"", b"\x0a\x01m"])
def test_a_message_that_is_none_or_empty(channel: grpc.Channel, content: bytes) -> None:
    codes = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    with pytest.raises(grpc.RpcError) as caught:
        infer(channel, content)
    assert caught.value.code() in codes


def test_methods_that_are_not_there(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"{SERVICE}ModelConfig")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_that_is_too_large_compressed_or_not(start_oip: StartOip) -> None:
    oip = start_oip(max_batch_body_bytes=4096)
    content = message(oip, description=b"x" * 100_000).SerializeToString()
    assert len(gzip.compress(content)) < 4096
    with grpc.insecure_channel(f"127.0.0.1:{oip.settings.serving.grpc_port}") as channel:
        refused(channel, content, grpc.StatusCode.RESOURCE_EXHAUSTED)
        refused(channel, content, grpc.StatusCode.RESOURCE_EXHAUSTED, compression=grpc.Compression.Gzip)


def test_a_key_is_asked_for_over_both(start_oip: StartOip, kind: Any) -> None:
    oip = start_oip(access=AccessSettings(required=True, api_key=SecretStr(KEY)))
    client = oip.client(kind)
    assert client.is_server_live()
    assert client.is_server_ready()
    for call in (
        client.get_server_metadata,
        lambda **how: client.get_model_metadata(oip.model, **how),
        lambda **how: client.infer(oip.model, columns(kind), **how),
    ):
        for headers in ({}, {"authorization": "Bearer wrong"}):
            with pytest.raises(InferenceServerException) as caught:
                call(headers=headers)
            assert caught.value.status() in {"401", "StatusCode.UNAUTHENTICATED"}
        assert call(headers={"authorization": f"Bearer {KEY}"})
        assert call(headers={"x-api-key": KEY})
    assert set(oip.logged(oip.last_id())["client"]) == {"default"}


def test_a_scope_is_asked_for(start_oip: StartOip) -> None:
    from plumbline.settings.serving_access import ClientSettings

    access = AccessSettings(
        required=True, api_key=SecretStr(KEY), clients={"default": ClientSettings(scopes=frozenset({"models"}))}
    )
    oip = start_oip(access=access)
    for kind, status in ((tritonclient.http, "403"), (tritonclient.grpc, "StatusCode.PERMISSION_DENIED")):
        client = oip.client(kind)
        assert client.get_model_metadata(oip.model, headers={"x-api-key": KEY})
        with pytest.raises(InferenceServerException) as caught:
            client.infer(oip.model, columns(kind), headers={"x-api-key": KEY})
        assert caught.value.status() == status


def test_rows_count_for_the_rate(start_oip: StartOip, kind: Any) -> None:
    oip = start_oip(access=AccessSettings(rate=RateSettings(per_second=0.001, burst=4)))
    client = oip.client(kind)
    client.infer(oip.model, columns(kind, 3))
    with pytest.raises(InferenceServerException) as caught:
        client.infer(oip.model, columns(kind, 3))
    assert caught.value.status() in {"429", "StatusCode.RESOURCE_EXHAUSTED"}
    client.infer(oip.model, columns(kind, 1))


def test_the_time_to_come_back_is_in_the_trailers(start_oip: StartOip) -> None:
    oip = start_oip(access=AccessSettings(rate=RateSettings(per_second=0.1, burst=1)))
    with grpc.insecure_channel(f"127.0.0.1:{oip.settings.serving.grpc_port}") as channel:
        content = message(oip).SerializeToString()
        infer(channel, content)
        error = refused(channel, content, grpc.StatusCode.RESOURCE_EXHAUSTED)
    trailers: Any = error.trailing_metadata()
    assert 1000 <= int(dict(trailers)["grpc-retry-pushback-ms"]) <= 10_000


def test_calls_are_traced_from_the_message_to_the_answer(start_oip: StartOip, settings: Settings, kind: Any) -> None:
    file = settings.home / "spans.jsonl"
    oip = start_oip(telemetry=TelemetrySettings(trace_file=file))
    client = oip.client(kind)
    parent = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    client.infer(oip.model, columns(kind, 1), request_id="traced", headers=dict(parent))
    client.infer(oip.model, columns(kind, 3), headers=dict(parent))
    client.infer(oip.model, columns(kind, 3), request_id="not-traced")
    with pytest.raises(InferenceServerException):
        client.infer("another", columns(kind, 1), headers=dict(parent))
    oip.stop()
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    assert Counter(span["name"] for span in spans) == {
        **dict.fromkeys(("queue", "features", "encode", "model", "records", "log", "hand over", "answer"), 1),
        **dict.fromkeys(("read", "parse"), 2),
        "infer": 3,
    }


def test_calls_under_way_are_answered_at_the_stop(start_oip: StartOip) -> None:
    model = WordCountModel()
    oip = start_oip(model)
    client = oip.client(tritonclient.grpc)
    client.infer(oip.model, columns(tritonclient.grpc, 1))
    model.seconds = 0.5
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(client.infer(oip.model, columns(tritonclient.grpc, 1))))
    before = len(model.sizes)
    asking.start()
    deadline = time.monotonic() + 20
    while len(model.sizes) == before:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    oip.stop()
    asking.join(20)
    assert answers[0].as_numpy("label").tolist() == [b"long"]
    with pytest.raises(InferenceServerException) as caught:
        client.infer(oip.model, columns(tritonclient.grpc, 1))
    assert caught.value.status() == "StatusCode.UNAVAILABLE"


@pytest.mark.parametrize("port", [None, 0])
def test_it_may_be_turned_off(start_oip: StartOip, port: int | None) -> None:
    oip = start_oip(grpc_port=port)
    grpc_server.require_port(oip.settings.serving)
    assert oip.client(tritonclient.http).infer(oip.model, columns(tritonclient.http)).as_numpy("label") is not None


def test_a_port_that_is_taken_is_said_before_anything_starts(
    oip: Oip, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = with_ports(settings, grpc_port=oip.settings.serving.grpc_port).serving
    with pytest.raises(PortBusyError, match="PLUMBLINE_SERVING__GRPC_PORT"):
        grpc_server.require_port(taken)
    monkeypatch.setattr("serving.oip.grpc_server._PORT_PATIENCE_SECONDS", 0.1)
    front = oip.replica.front

    async def start() -> None:
        await grpc_server.start(front)

    with pytest.raises(PortBusyError, match="taken by another process"):
        asyncio.run(start())


def test_a_draining_server_is_not_ready_and_answers(start_oip: StartOip, settings: Settings, kind: Any) -> None:
    file = settings.home / "drain"
    oip = start_oip(drain_file=file)
    client = oip.client(kind)
    assert client.is_server_ready()
    file.touch()
    assert not client.is_server_ready()
    assert not client.is_model_ready(oip.model)
    assert client.is_server_live()
    assert len(client.infer(oip.model, columns(kind)).as_numpy("label")) == 3
