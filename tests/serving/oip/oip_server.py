"""A replica on stand-ins that listens on an event loop of its own, and what the real clients send it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import uvloop
from serving_standins import Features, Models, WordCountModel

from plumbline.settings import Settings
from serving.prediction_log import read
from serving.replica import Replica

_Result = TypeVar("_Result")


class Oip:
    """A running replica.

    Args:
        settings: With ports of its own.
        model: What it serves.
    """

    def __init__(self, settings: Settings, model: WordCountModel | None = None) -> None:
        self.settings = settings
        self.models, self.features = Models(model), Features()
        self.replica = Replica(settings, models=lambda *_: self.models, features=self.features)
        self.model = settings.tracking.model_name
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stopped = False
        self.run(self.replica.listen())

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs something on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def client(self, kind: Any) -> Any:
        """A client, of `tritonclient.http` or `tritonclient.grpc`."""
        serving = self.settings.serving
        port = serving.port if kind.__name__.startswith("tritonclient.http") else serving.grpc_port
        return kind.InferenceServerClient(f"127.0.0.1:{port}")

    def logged(self, request_id: str) -> pd.DataFrame:
        """The log's records of a request, by their ids."""
        log = read(self.settings).set_index("request_id").sort_index()
        return log[[name.partition("/")[0] == request_id for name in log.index]]

    def last_id(self) -> str:
        """Id of the request that was logged last."""
        return str(read(self.settings)["request_id"].iloc[-1]).partition("/")[0]

    def waiting(self) -> int:
        """Queries that are in no batch yet."""
        return self.replica.front.engine.lane().waiting

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self.features.go_on.set()
        self.run(self.replica.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


StartOip = Callable[..., Oip]


def with_ports(settings: Settings, **changes: Any) -> Settings:
    """Settings of a server on free ports, with all the time that a slow machine needs, unless they are changed."""
    usual = {
        "alias_poll_seconds": 0.02,
        "inline_batch_ms": 0.0,  # models that are held up need a thread of their own
        "port": free_port(),
        "grpc_port": free_port(),
        "latency_budget_ms": 20_000.0,
        "batch_latency_budget_ms": 20_000.0,
        "features_budget_ms": 10_000.0,
    }
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=usual | changes)})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ROWS: dict[str, list[Any]] = {
    "posting_id": ["p-1", "p-2", "p-3"],
    "event_timestamp": ["2026-01-05T08:00:00Z"] * 3,
    "board": ["jobs.example"] * 3,
    "title": ["Warehouse worker", "Driver", "Zażółć gęślą jaźń"],
    "description": ["Loads and unloads lorries all day long.", "Drives.", "Please call tel. 600 100 200"],
    "company": ["Example", "", "Other"],
    "salary_min": [4000.0, float("nan"), 5000.0],
    "currency": ["PLN", "", "EUR"],
}
"""Three postings, by field. The stand-in says `long` of more than five words: of the first; of the last it would, if it
were not masked."""

LABELS = [b"long", b"short", b"short"]


def column(kind: Any, name: str, values: list[Any], *, nested: bool = False, **how: Any) -> Any:
    """An input of one of the clients, `tritonclient.http` or `tritonclient.grpc`."""
    number = isinstance(values[0], float)
    shape = [len(values), 1] if nested else [len(values)]
    cells = values if number else [value if isinstance(value, bytes) else str(value).encode() for value in values]
    array = np.array(cells, dtype=np.float64 if number else object).reshape(shape)
    tensor = kind.InferInput(name, shape, "FP64" if number else "BYTES")
    tensor.set_data_from_numpy(array, **how)
    return tensor


def columns(kind: Any, rows: int = 3, *, without: tuple[str, ...] = (), **how: Any) -> list[Any]:
    """The first postings as inputs."""
    return [column(kind, name, values[:rows], **how) for name, values in ROWS.items() if name not in without]
