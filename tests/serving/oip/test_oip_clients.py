"""What tritonclient is answered, unmodified, the same over REST and gRPC."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from oip_server import LABELS, ROWS, Oip, StartOip, column, columns

from plumbline.data.contract import PostingRequest


def test_the_server_and_its_model_are_ready(oip: Oip, client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(oip.model)
    assert client.is_model_ready(oip.model, "1")


def test_metadata_name_the_server_the_version_and_every_tensor(oip: Oip, client: Any, kind: Any) -> None:
    as_json = {} if kind is tritonclient.http else {"as_json": True}
    server = client.get_server_metadata(**as_json)
    assert server["name"] == "plumbline"
    assert server["extensions"] == ["binary_tensor_data", "classification"]
    model = client.get_model_metadata(oip.model, **as_json)
    assert (model["name"], model["versions"]) == (oip.model, ["1"])
    inputs = {tensor["name"]: tensor["datatype"] for tensor in model["inputs"]}
    assert set(inputs) == {*PostingRequest.model_fields, "posting"}
    assert {name for name, datatype in inputs.items() if datatype == "FP64"} == {"salary_min", "salary_max"}
    outputs = {tensor["name"]: [int(size) for size in tensor["shape"]] for tensor in model["outputs"]}
    assert outputs["label"] == [-1]
    assert outputs["probabilities"] == [-1, 2]


def test_rest_metadata_name_the_classes_and_what_must_be_sent(oip: Oip) -> None:
    model = oip.client(tritonclient.http).get_model_metadata(oip.model)
    (probabilities,) = [tensor for tensor in model["outputs"] if tensor["name"] == "probabilities"]
    assert probabilities["parameters"]["labels"] == ["long", "short"]
    required = [tensor["name"] for tensor in model["inputs"] if tensor["parameters"]["required"]]
    assert required == ["board", "title", "description"]


@pytest.mark.parametrize("nested", [False, True])
def test_rows_are_classified_masked_and_logged(oip: Oip, client: Any, kind: Any, nested: bool) -> None:
    name = f"{kind.__name__}-{nested}"
    result = client.infer(oip.model, columns(kind, nested=nested), request_id=name)
    assert list(result.as_numpy("label")) == LABELS
    assert list(result.as_numpy("probability")) == pytest.approx([0.9, 0.8, 0.8])
    assert result.as_numpy("probability").dtype == np.float64
    assert result.as_numpy("probabilities") == pytest.approx(np.array([[0.9, 0.1], [0.2, 0.8], [0.2, 0.8]]))
    assert result.as_numpy("probabilities").dtype == np.float32
    assert list(result.as_numpy("degraded")) == [False] * 3
    ids = [f"{name}/{row}" for row in range(3)]
    assert list(result.as_numpy("request_id")) == [each.encode() for each in ids]
    assert list(result.as_numpy("model_version")) == [b"1"] * 3
    log = oip.logged(name)
    assert list(log.index) == ids
    assert list(log["posting_id"]) == ["p-1", "p-2", "p-3"]


def test_the_response_names_request_model_and_version(oip: Oip, client: Any, kind: Any) -> None:
    as_json = {} if kind is tritonclient.http else {"as_json": True}
    response = client.infer(oip.model, columns(kind, 1), request_id="mine").get_response(**as_json)
    assert (response["id"], response["model_name"], response["model_version"]) == ("mine", oip.model, "1")
    assert [output["name"] for output in response["outputs"]] == [
        *("label", "probability", "probabilities", "degraded", "request_id", "model_version")
    ]


def test_one_row_keeps_the_id_of_its_request_and_none_is_made_up(oip: Oip, client: Any, kind: Any) -> None:
    named = client.infer(oip.model, columns(kind, 1), request_id="mine")
    assert list(named.as_numpy("request_id")) == [b"mine"]
    unnamed = client.infer(oip.model, columns(kind, 1))
    assert unnamed.as_numpy("request_id")[0]
    headed = client.infer(oip.model, columns(kind, 1), headers={"x-request-id": "of-the-header"})
    assert list(headed.as_numpy("request_id")) == [b"of-the-header"]


def test_what_is_not_stated_has_its_default(oip: Oip, client: Any, kind: Any) -> None:
    inputs = columns(kind, 2, without=("posting_id", "event_timestamp", "company", "salary_min", "currency"))
    inputs.append(column(kind, "language", ["", "pl"]))
    name = f"{kind.__name__}-defaults"
    client.infer(oip.model, inputs, request_id=name)
    log = oip.logged(name)
    assert list(log["posting_id"]) == [f"{name}/0", f"{name}/1"]
    assert list(log["company"].isna()) == [True, True]


def test_postings_may_be_sent_as_json_documents(oip: Oip, client: Any, kind: Any) -> None:
    stated = [
        {name: values[row] for name, values in ROWS.items() if values[row] == values[row] and values[row] != ""}
        for row in range(3)
    ]
    documents = [PostingRequest.model_validate(fields).model_dump_json(exclude_unset=True) for fields in stated]
    result = client.infer(oip.model, [column(kind, "posting", documents)])
    assert list(result.as_numpy("label")) == LABELS


def test_only_the_requested_outputs_are_returned(oip: Oip, client: Any, kind: Any) -> None:
    result = client.infer(oip.model, columns(kind), outputs=[kind.InferRequestedOutput("label")])
    assert list(result.as_numpy("label")) == LABELS
    assert result.as_numpy("probability") is None


def test_the_most_probable_classes_in_place_of_all_probabilities(oip: Oip, client: Any, kind: Any) -> None:
    best = client.infer(oip.model, columns(kind), outputs=[kind.InferRequestedOutput("probabilities", class_count=1)])
    assert best.as_numpy("probabilities").tolist() == [
        [b"0.900000:0:long"],
        [b"0.800000:1:short"],
        [b"0.800000:1:short"],
    ]
    most = client.infer(
        oip.model, columns(kind, 1), outputs=[kind.InferRequestedOutput("probabilities", class_count=9)]
    )
    assert most.as_numpy("probabilities").tolist() == [[b"0.900000:0:long", b"0.100000:1:short"]]


def test_degraded_rows_say_so(start_oip: StartOip, kind: Any) -> None:
    oip = start_oip()
    oip.features.fails = True
    client = oip.client(kind)
    assert list(client.infer(oip.model, columns(kind)).as_numpy("degraded")) == [True] * 3


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_requests_may_be_compressed(oip: Oip, client: Any, kind: Any, algorithm: str) -> None:
    name = "request_compression_algorithm" if kind is tritonclient.http else "compression_algorithm"
    result = client.infer(oip.model, columns(kind), **{name: algorithm})
    assert list(result.as_numpy("label")) == LABELS


def test_tensors_as_json_in_and_out(oip: Oip) -> None:
    kind, client = tritonclient.http, oip.client(tritonclient.http)
    outputs = [
        kind.InferRequestedOutput(name, binary_data=False)
        for name in ("label", "probability", "probabilities", "degraded")
    ]
    # NaN included, which strict JSON does not have.
    result = client.infer(oip.model, columns(kind, binary_data=False), outputs=outputs)
    assert list(result.as_numpy("label")) == ["long", "short", "short"]
    assert result.get_output("probability")["data"] == pytest.approx([0.9, 0.8, 0.8])
    assert result.get_output("probabilities")["data"] == pytest.approx([0.9, 0.1, 0.2, 0.8, 0.2, 0.8])
    assert result.get_output("degraded")["data"] == [False] * 3


def test_one_output_binary_another_json(oip: Oip) -> None:
    kind = tritonclient.http
    outputs = [kind.InferRequestedOutput("label", binary_data=False), kind.InferRequestedOutput("probability")]
    result = oip.client(tritonclient.http).infer(oip.model, columns(kind), outputs=outputs)
    assert list(result.as_numpy("label")) == ["long", "short", "short"]
    assert list(result.as_numpy("probability")) == pytest.approx([0.9, 0.8, 0.8])


def test_async_infer_of_the_gevent_client(oip: Oip) -> None:
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{oip.settings.serving.port}", concurrency=4)
    pending = [client.async_infer(oip.model, columns(tritonclient.http)) for _ in range(8)]
    assert all(list(each.get_result().as_numpy("label")) == LABELS for each in pending)
    client.close()


def test_the_asyncio_clients(oip: Oip) -> None:
    async def ask(kind: Any, port: int | None) -> None:
        async with kind.InferenceServerClient(f"127.0.0.1:{port}") as client:
            assert await client.is_server_ready()
            results = await asyncio.gather(*(client.infer(oip.model, columns(kind)) for _ in range(4)))
            assert all(list(result.as_numpy("label")) == LABELS for result in results)

    serving = oip.settings.serving
    asyncio.run(ask(tritonclient.http.aio, serving.port))
    # On the server's loop: gRPC's completions wake every loop of a process that uses it.
    oip.run(ask(tritonclient.grpc.aio, serving.grpc_port))


@pytest.mark.parametrize("modules", ["ours, theirs", "theirs, ours"])
def test_our_messages_live_beside_the_clients(modules: str) -> None:
    imports = {
        "ours": "from serving.oip import open_inference_pb2 as ours",
        "theirs": "from tritonclient.grpc import service_pb2 as theirs",
    }
    lines = [imports[name] for name in modules.split(", ")]
    lines.append("sent = theirs.ModelInferRequest(model_name='m', raw_input_contents=[b'x'])")
    lines.append("assert ours.ModelInferRequest.FromString(sent.SerializeToString()).raw_input_contents == [b'x']")
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)


def test_our_messages_are_those_of_the_client() -> None:
    from tritonclient.grpc import service_pb2 as theirs

    from serving.oip import open_inference_pb2 as ours

    def fields(descriptor: Any) -> dict[str, Any]:
        found: dict[str, Any] = {
            field.name: (field.number, field.type, field.is_repeated, field.message_type and field.message_type.name)
            for field in descriptor.fields
        }
        return found | {nested.name: fields(nested) for nested in descriptor.nested_types}

    for name, message in ours.DESCRIPTOR.message_types_by_name.items():
        assert fields(message) == fields(theirs.DESCRIPTOR.message_types_by_name[name])
    (service,) = ours.DESCRIPTOR.services_by_name.values()
    known = theirs.DESCRIPTOR.services_by_name[service.name].methods_by_name
    for method in service.methods:
        there = known[method.name]
        assert (method.input_type.name, method.output_type.name) == (there.input_type.name, there.output_type.name)
