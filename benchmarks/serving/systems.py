"""The systems that are compared: how each is started, where it is asked, and in which words.

Every one is one worker on the same model folder, with one thread per process for torch and BLAS (`OMP_NUM_THREADS=1`:
on this model a second thread costs each of them more than it brings), without a line of text per request.
"""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from plumbline.errors import MissingInputError, UserError
from plumbline.process.children import plumbline_line

VENV = Path(sys.executable).parent
BENCH_VENV = Path(".venv-bench/bin")
"""LitServe and BentoML: BentoML pins a release of OpenTelemetry that the platform's lock cannot have."""

BENCH_PACKAGES = ("litserve", "bentoml")
"""What is installed there, and the systems that need it."""


@dataclass(frozen=True)
class Place:
    """What a server is told.

    Attributes:
        port: Where it is to listen on loopback; the one after it is free, too.
        model: The champion's folder.
        mlflow_model: The logged model that the folder belongs to.
        home: State of the platform, with a prediction log of its own.
        work: Folder for files of the server.
    """

    port: int
    model: Path
    mlflow_model: Path
    home: Path
    work: Path


@dataclass(frozen=True)
class System:
    """One system under test.

    Attributes:
        name: For options and rows.
        title: For people.
        work: What is done for a posting.
        path: Route that classifies one posting.
        command: The command line.
        environment: Further variables of the environment.
        body: The request's body, from a posting's JSON.
        label: The label in an answer.
        model_only: Whether title and description alone decide the answer, so that it can be checked.
        stands_for: The system whose option this varies; None for those that are measured unless asked otherwise.
    """

    name: str
    title: str
    work: str
    path: str
    command: Callable[[Place], list[str]]
    label: Callable[[Any], str]
    environment: Callable[[Place], dict[str, str]] = field(default=lambda _: {})
    body: Callable[[bytes], bytes] = field(default=lambda posting: posting)
    model_only: bool = True
    stands_for: str | None = None


OURS = "plumbline"
SAME_WORK = "fastapi-same-work"
RIVALS = ("litserve", "bentoml", "mlflow", "ray-serve")
"""Whose best goodput ours is compared with."""

_MODEL_ONLY = "model only"
_EVERYTHING = "validation, masking, features, log"


def _script(name: str) -> str:
    return str(VENV / name)


def _ours(place: Place) -> list[str]:
    return plumbline_line("serve", "run", "--port", str(place.port))


def _uvicorn(module: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        _script("uvicorn"), f"benchmarks.serving.servers.{module}:app", "--host", "127.0.0.1",
        "--port", str(place.port), "--workers", "1", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip


def _mlflow(place: Place) -> list[str]:
    return [
        _script("mlflow"), "models", "serve", "--model-uri", str(place.mlflow_model), "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1",
    ]  # fmt: skip


def _mlflow_body(posting: bytes) -> bytes:
    """The split orientation is the smallest that MLflow takes; columns that the model does not read are left out."""
    record = orjson.loads(posting)
    columns = ["title", "description"]
    return orjson.dumps({"dataframe_split": {"columns": columns, "data": [[record[name] for name in columns]]}})


def _ray(place: Place) -> list[str]:
    config = place.work / "ray-serve.yaml"
    config.write_text(
        "proxy_location: HeadOnly\n"
        f"http_options: {{host: 127.0.0.1, port: {place.port}}}\n"
        "applications:\n"
        "  - {name: postings, import_path: 'benchmarks.serving.servers.ray_serve_app:application', route_prefix: /}\n",
        encoding="utf-8",
    )
    return [_script("serve"), "run", str(config)]


def _litserve(size: int, timeout: float, *, fast_queue: bool) -> Callable[[Place], list[str]]:
    options = [
        "--max-batch-size",
        str(size),
        "--batch-timeout",
        str(timeout),
        *(["--fast-queue"] if fast_queue else []),
    ]
    module = "benchmarks.serving.servers.litserve_server"
    return lambda place: [str(BENCH_VENV / "python"), "-m", module, "--port", str(place.port), *options]


def _bentoml(place: Place) -> list[str]:
    service = "benchmarks.serving.servers.bentoml_service:Postings"
    return [str(BENCH_VENV / "bentoml"), "serve", service, "--host", "127.0.0.1", "--port", str(place.port)]


def _bentoml_options(size: int, latency_ms: int) -> Callable[[Place], dict[str, str]]:
    return lambda place: {
        "BENCH_MAX_BATCH_SIZE": str(size),
        "BENCH_MAX_LATENCY_MS": str(latency_ms),
        "BENTOML_HOME": str(place.work / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "1",
    }


def _home(place: Place) -> Mapping[str, str]:
    return {"PLUMBLINE_HOME": str(place.home)}


def _label(answer: Any) -> str:
    return str(answer["label"])


def _litserve_system(size: int, timeout: float, *, fast_queue: bool, stands_for: str | None = None) -> System:
    queue = "fast queue" if fast_queue else "default queue"
    name = f"{stands_for}-{size}-{1000 * timeout:g}ms-{queue.partition(' ')[0]}" if stands_for else "litserve"
    return System(
        name=name,
        title=f"LitServe (batch {size}, {1000 * timeout:g} ms, {queue})",
        work=_MODEL_ONLY,
        path="/predict",
        command=_litserve(size, timeout, fast_queue=fast_queue),
        label=_label,
        stands_for=stands_for,
    )


def _bentoml_system(size: int, latency_ms: int, *, stands_for: str | None = None) -> System:
    return System(
        name=f"{stands_for}-{size}-{latency_ms}ms" if stands_for else "bentoml",
        title=f"BentoML (adaptive batching to {size}, {latency_ms} ms)",
        work=_MODEL_ONLY,
        path="/classify",
        command=_bentoml,
        label=lambda answer: _label(answer[0]),
        environment=_bentoml_options(size, latency_ms),
        body=lambda posting: b'{"postings":[' + posting + b"]}",
        stands_for=stands_for,
    )


def _ray_system(name: str, title: str, switches: Mapping[str, str]) -> System:
    return System(
        name=name,
        title=title,
        work=_MODEL_ONLY,
        path="/classify",
        command=_ray,
        label=_label,
        environment=lambda _: {"RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0", **switches},
    )


SYSTEMS = (
    System(
        name=OURS,
        title="Plumbline",
        work=_EVERYTHING,
        path="/v1/classify",
        command=_ours,
        label=_label,
        environment=lambda place: {**_home(place), "PLUMBLINE_SERVING__GRPC_PORT": str(place.port + 1)},
        model_only=False,
    ),
    System(
        name="fastapi",
        title="FastAPI + uvicorn",
        work=_MODEL_ONLY,
        path="/classify",
        command=_uvicorn("fastapi_model"),
        label=_label,
    ),
    System(
        name=SAME_WORK,
        title="FastAPI + uvicorn, same work",
        work=_EVERYTHING,
        path="/classify",
        command=_uvicorn("fastapi_same_work"),
        label=_label,
        environment=lambda place: {**_home(place), "BENCH_LOG_FILE": str(place.work / "same-work.jsonl")},
        model_only=False,
    ),
    _litserve_system(64, 0.01, fast_queue=True),
    _bentoml_system(64, 1000),
    System(
        name="mlflow",
        title="mlflow models serve",
        work=_MODEL_ONLY,
        path="/invocations",
        command=_mlflow,
        label=lambda answer: _label(answer["predictions"][0]),
        environment=lambda _: {"MLFLOW_DISABLE_TELEMETRY": "true"},
        body=_mlflow_body,
    ),
    _ray_system("ray-serve", "Ray Serve, stock", {}),
    _ray_system(
        "ray-serve-switches",
        "Ray Serve, HAProxy and throughput switches",
        {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"},
    ),
    *(
        _litserve_system(size, timeout, fast_queue=fast_queue, stands_for="litserve")
        for size, timeout, fast_queue in (
            (8, 0.01, True), (32, 0.0, True), (32, 0.001, True), (32, 0.005, True), (32, 0.005, False),
        )
    ),
    *(
        _bentoml_system(size, latency_ms, stands_for="bentoml")
        for size, latency_ms in ((32, 50), (64, 50), (64, 200), (100, 60_000))
    ),
)  # fmt: skip


def select_systems(names: Sequence[str] | None) -> tuple[System, ...]:
    """The systems whose names match; without any, all that do not vary another one's options.

    Raises:
        UserError: No system matches.
        MissingInputError: A system's environment is not installed.
    """
    if names is None:
        chosen = tuple(system for system in SYSTEMS if system.stands_for is None)
    else:
        for name in names:
            if not any(fnmatch.fnmatch(system.name, name) for system in SYSTEMS):
                known = ", ".join(system.name for system in SYSTEMS)
                raise UserError(f"No system is named {name!r}: choose among {known}.")
        chosen = tuple(system for system in SYSTEMS if any(fnmatch.fnmatch(system.name, name) for name in names))
    apart = [system.name for system in chosen if (system.stands_for or system.name) in BENCH_PACKAGES]
    if apart and not (BENCH_VENV / "python").exists():
        raise MissingInputError(
            f"{', '.join(apart)}: there is no {BENCH_VENV.parent}. `make bench-serving` installs it; or leave "
            "them out by --systems."
        )
    return chosen
