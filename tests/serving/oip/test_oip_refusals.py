"""What is refused, over REST and gRPC alike, with errors that name tensor and row."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from oip_server import Oip, StartOip, column, columns, with_ports
from serving_standins import POISON, WordCountModel
from tritonclient.utils import InferenceServerException

from plumbline.settings import load_settings

STATUS = {
    400: "StatusCode.INVALID_ARGUMENT",
    404: "StatusCode.NOT_FOUND",
    422: "StatusCode.INVALID_ARGUMENT",
    500: "StatusCode.INTERNAL",
    503: "StatusCode.UNAVAILABLE",
    504: "StatusCode.DEADLINE_EXCEEDED",
    401: "StatusCode.UNAUTHENTICATED",
    429: "StatusCode.RESOURCE_EXHAUSTED",
}


def refused(kind: Any, status: int, call: Any, *arguments: Any, **named: Any) -> str:
    """The message of the refusal, which must have the status."""
    with pytest.raises(InferenceServerException) as caught:
        call(*arguments, **named)
    assert caught.value.status() == (str(status) if kind is tritonclient.http else STATUS[status])
    return str(caught.value.message())


@pytest.fixture(scope="module")
def slow_oip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oip]:
    """One posting at a time, 0.3 seconds each; it knows how long it takes."""
    model = WordCountModel()
    oip = Oip(with_ports(load_settings(home=tmp_path_factory.mktemp("slow")), max_batch_size=1), model)
    model.seconds = 0.3  # not while it warms up
    client = oip.client(tritonclient.grpc)
    for _ in range(3):
        client.infer(oip.model, columns(tritonclient.grpc, 1))
    yield oip
    oip.stop()


@contextmanager
def busy(oip: Oip) -> Iterator[None]:
    """While a posting is being answered."""
    before = len(oip.models.model.sizes)
    client = oip.client(tritonclient.grpc)
    ahead = threading.Thread(target=client.infer, args=(oip.model, columns(tritonclient.grpc, 1)))
    ahead.start()
    wait_until(lambda: len(oip.models.model.sizes) > before)
    yield
    ahead.join()
    client.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


def number(kind: Any, name: str, values: list[float], datatype: str) -> Any:
    tensor = kind.InferInput(name, [len(values)], datatype)
    tensor.set_data_from_numpy(np.array(values, dtype={"FP32": np.float32, "INT64": np.int64}[datatype]))
    return tensor


def test_an_unknown_model_and_an_unknown_version(oip: Oip, client: Any, kind: Any) -> None:
    message = refused(kind, 404, client.infer, "another", columns(kind))
    assert oip.model in message
    message = refused(kind, 404, client.infer, oip.model, columns(kind), model_version="7")
    assert "Served is 1" in message
    refused(kind, 404, client.get_model_metadata, "another")
    refused(kind, 404, client.get_model_metadata, oip.model, "7")
    if kind is tritonclient.http:
        assert not client.is_model_ready(oip.model, "7")
    else:
        refused(kind, 404, client.is_model_ready, oip.model, "7")


def test_a_missing_tensor_is_named(oip: Oip, client: Any, kind: Any) -> None:
    message = refused(kind, 400, client.infer, oip.model, columns(kind, without=("title", "board")))
    assert "missing: board, title" in message


def test_an_unknown_tensor_is_named(oip: Oip, client: Any, kind: Any) -> None:
    message = refused(kind, 400, client.infer, oip.model, [*columns(kind), column(kind, "colour", ["red"] * 3)])
    assert "'colour'" in message
    assert "description" in message


def test_a_tensor_that_is_there_twice(oip: Oip, client: Any, kind: Any) -> None:
    message = refused(kind, 400, client.infer, oip.model, [*columns(kind), *columns(kind)[:1]])
    assert "posting_id is there twice" in message


def test_whole_postings_stand_alone(oip: Oip, client: Any, kind: Any) -> None:
    refused(kind, 400, client.infer, oip.model, [*columns(kind), column(kind, "posting", ["{}"] * 3)])


@pytest.mark.parametrize("datatype", ["FP32", "INT64"])
def test_a_wrong_datatype(oip: Oip, client: Any, kind: Any, datatype: str) -> None:
    inputs = [*columns(kind, without=("salary_min",)), number(kind, "salary_min", [1, 2, 3], datatype)]
    assert "salary_min" in refused(kind, 400, client.infer, oip.model, inputs)
    inputs = [*columns(kind, without=("title",)), number(kind, "title", [1, 2, 3], datatype)]
    assert "title has the datatype" in refused(kind, 400, client.infer, oip.model, inputs)


@pytest.mark.parametrize("shape", [[3, 2], [2], [1, 3], [4], [3, 1, 1], [-3], [0], []])
def test_a_shape_that_is_not_that_of_the_contents(oip: Oip, client: Any, kind: Any, shape: list[int]) -> None:
    inputs = columns(kind)
    for tensor in inputs:
        tensor.set_shape(shape)
    assert "posting_id" in refused(kind, 400, client.infer, oip.model, inputs)


def test_a_huge_shape_allocates_nothing(oip: Oip, client: Any, kind: Any) -> None:
    inputs = columns(kind)
    inputs[0].set_shape([2**62])
    assert "from 1 to 256" in refused(kind, 400, client.infer, oip.model, inputs)


def test_tensors_of_different_lengths(oip: Oip, client: Any, kind: Any) -> None:
    inputs = [*columns(kind, 2, without=("title",)), column(kind, "title", ["one", "two", "three"])]
    assert "title 3" in refused(kind, 400, client.infer, oip.model, inputs)


def test_too_many_rows(start_oip: StartOip, kind: Any) -> None:
    oip = start_oip(max_batch_postings=2)
    client = oip.client(kind)
    assert "from 1 to 2" in refused(kind, 400, client.infer, oip.model, columns(kind))
    assert len(client.infer(oip.model, columns(kind, 2)).as_numpy("label")) == 2


@pytest.mark.parametrize(
    ("name", "values", "fault"),
    [
        ("title", ["fine", "  ", "fine"], "title[1]"),
        ("board", ["fine", "fine", ""], "board[2]"),
        ("event_timestamp", ["2026-01-05T08:00:00Z", "yesterday", ""], "event_timestamp[1]"),
        ("salary_min", [1.0, -1.0, float("inf")], "salary_min[1]"),
        ("employment_type", ["full_time", "", "sometimes"], "employment_type[2]"),
        ("description", [b"fine", b"fine", b"\xff\xfe"], "description[2]"),
        ("currency", ["PLN", "", ""], "row 2"),
    ],
)
def test_a_row_that_breaks_the_contract_is_named(
    oip: Oip, client: Any, kind: Any, name: str, values: list[Any], fault: str
) -> None:
    inputs = [*columns(kind, without=(name,)), column(kind, name, values)]
    message = refused(kind, 422, client.infer, oip.model, inputs, request_id="broken")
    assert fault in message
    assert f"{name}[0]" not in message
    assert len(oip.logged("broken")) == 0


def test_every_fault_is_named_but_not_thousands(oip: Oip, client: Any, kind: Any) -> None:
    inputs = [column(kind, name, [""] * 200) for name in ("title", "board", "description")]
    message = refused(kind, 422, client.infer, oip.model, inputs)
    assert "title[0]" in message
    assert "board[1]" in message
    assert "title[100]" not in message
    assert len(message) < 4096


def test_a_document_that_is_no_posting(oip: Oip, client: Any, kind: Any) -> None:
    documents = ['{"title": "only"}', "{", '{"colour": "red"}']
    message = refused(kind, 422, client.infer, oip.model, [column(kind, "posting", documents)])
    assert "posting[0].board" in message
    assert "posting[1]: Invalid JSON" in message
    assert "posting[2].colour" in message


def test_unknown_outputs(oip: Oip, client: Any, kind: Any) -> None:
    def outputs(*names: str, **how: Any) -> list[Any]:
        return [kind.InferRequestedOutput(name, **how) for name in names]

    assert "'price'" in refused(kind, 400, client.infer, oip.model, columns(kind), outputs=outputs("price"))
    refused(kind, 400, client.infer, oip.model, columns(kind), outputs=outputs("label", "label"))
    refused(kind, 400, client.infer, oip.model, columns(kind), outputs=outputs("label", class_count=1))
    shared = outputs("label")
    shared[0].set_shared_memory("region", 64)
    assert "shared memory" in refused(kind, 400, client.infer, oip.model, columns(kind), outputs=shared)


def test_inputs_in_shared_memory_and_sequences(oip: Oip, client: Any, kind: Any) -> None:
    inputs = columns(kind)
    inputs[0].set_shared_memory("region", 64)
    refused(kind, 400, client.infer, oip.model, inputs)
    assert "sequence" in refused(kind, 400, client.infer, oip.model, columns(kind), sequence_id=5)


def test_an_id_that_is_too_long(oip: Oip, client: Any, kind: Any) -> None:
    assert "128" in refused(kind, 400, client.infer, oip.model, columns(kind), request_id="x" * 129)


def test_a_wrong_budget_header(oip: Oip, client: Any, kind: Any) -> None:
    refused(kind, 400, client.infer, oip.model, columns(kind), headers={"x-latency-budget-ms": "soon"})


def test_a_poisoned_row_is_named_and_refuses_its_request(oip: Oip, client: Any, kind: Any) -> None:
    inputs = [*columns(kind, without=("title",)), column(kind, "title", ["fine", POISON, "fine"])]
    assert "Row 1" in refused(kind, 500, client.infer, oip.model, inputs)


@pytest.mark.parametrize("how", ["header", "parameter"])
def test_a_budget_that_is_too_short(slow_oip: Oip, kind: Any, how: str) -> None:
    client = slow_oip.client(kind)
    short: dict[str, Any] = {"headers": {"x-latency-budget-ms": "1"}} if how == "header" else {"timeout": 1000}
    for rows in (1, 3):
        with busy(slow_oip), pytest.raises(InferenceServerException) as caught:
            client.infer(slow_oip.model, columns(kind, rows), **short)
        assert caught.value.status() in {"503", "504", STATUS[503], STATUS[504]}


def test_a_deadline_that_is_too_short_is_the_budget(slow_oip: Oip) -> None:
    kind = tritonclient.grpc
    client = slow_oip.client(kind)
    with busy(slow_oip), pytest.raises(InferenceServerException) as caught:
        client.infer(slow_oip.model, columns(kind, 1), request_id="late", client_timeout=0.05)
    # Refused before it was computed, or given up by gRPC, which itself ends calls at their deadline.
    assert caught.value.status() in {STATUS[503], STATUS[504]}
    client.infer(slow_oip.model, columns(kind, 1))
    assert len(slow_oip.logged("late")) == 0


def test_a_cancelled_rpc_takes_its_query_away(slow_oip: Oip) -> None:
    kind = tritonclient.grpc
    client = slow_oip.client(kind)
    done = threading.Event()
    with busy(slow_oip):
        behind = client.async_infer(slow_oip.model, columns(kind, 1), lambda **_: done.set(), request_id="cancelled")
        wait_until(lambda: slow_oip.waiting() == 1)
        behind.cancel()
        assert done.wait(10)
        wait_until(lambda: slow_oip.waiting() == 0)
    client.infer(slow_oip.model, columns(kind, 1))
    assert len(slow_oip.logged("cancelled")) == 0


def test_a_client_that_hangs_up_takes_its_query_away(slow_oip: Oip) -> None:
    kind = tritonclient.http
    with busy(slow_oip):
        body, length = kind.InferenceServerClient.generate_request_body(columns(kind, 1), request_id="gone")
        request = (
            f"POST /v2/models/{slow_oip.model}/infer HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n"
            f"Inference-Header-Content-Length: {length}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", slow_oip.settings.serving.port)) as connection:
            connection.sendall(request.encode() + body)
            wait_until(lambda: slow_oip.waiting() == 1)
        wait_until(lambda: slow_oip.waiting() == 0)
    slow_oip.client(kind).infer(slow_oip.model, columns(kind, 1))
    assert len(slow_oip.logged("gone")) == 0


def test_overload_is_refused(slow_oip: Oip, kind: Any) -> None:
    with busy(slow_oip), busy(slow_oip):
        message = refused(
            kind,
            503,
            slow_oip.client(kind).infer,
            slow_oip.model,
            columns(kind, 1),
            headers={"x-latency-budget-ms": "5"},
        )
    assert message
