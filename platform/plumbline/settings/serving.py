"""Settings of the serving endpoint, its latency budget and its prediction log."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from plumbline.settings.names import AliasName, ModelName
from plumbline.settings.serving_access import AccessSettings
from plumbline.settings.serving_http import HttpSettings
from plumbline.settings.serving_log import PredictionLogSettings
from plumbline.settings.serving_models import ServedModelSettings
from plumbline.settings.serving_release import ReleaseSettings
from plumbline.settings.serving_telemetry import TelemetrySettings


class ServingSettings(BaseModel):
    """Settings of the serving endpoint, its latency budget and its prediction log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address that the endpoint listens on."""

    port: int = Field(default=8000, ge=1, le=65535)
    """Port that the endpoint listens on."""

    grpc_port: int | None = Field(default=8001, ge=0, le=65535)
    """Port of the Open Inference Protocol over gRPC, on the same address. None or 0: there is none."""

    latency_budget_ms: float = Field(default=50.0, gt=0)
    """Latency budget (p99) of the classify endpoint, milliseconds. A request may bring its own."""

    features_budget_ms: float = Field(default=20.0, gt=0)
    """Slice of the budget that the online features may take before defaults replace them, milliseconds."""

    model_alias: AliasName = "champion"
    """Alias of the registered model that is served."""

    follow: Literal["covered", "any"] = "covered"
    """Which versions that the alias names are served: those that the gate or a promotion covers, or any. One that
    nothing covers, such as one that was given the alias on MLflow's pages, is told of loudly either way."""

    alias_poll_seconds: float = Field(default=2.0, gt=0)
    """How often the registry is asked which version the alias names."""

    max_batch_size: int = Field(default=32, ge=1, le=1024)
    """A batch closes once it holds this many requests."""

    max_batch_wait_ms: float = Field(default=0.0, ge=0)
    """How long an open batch waits for companions while the model is idle, milliseconds. 0: batches form only while
    the model is busy, which on a CPU costs the least latency and no more CPU (docs/serving.md)."""

    max_waiting: int = Field(default=1024, ge=1)
    """Requests that may wait at once; more are refused, whatever the estimate says."""

    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    """Larger request bodies are refused with 413."""

    max_batch_postings: int = Field(default=256, ge=1, le=10_000)
    """Postings of one batch request."""

    max_batch_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    """Larger bodies of batch requests are refused with 413. Reading one holds everything else up for some ms/MiB."""

    batch_latency_budget_ms: float = Field(default=2000.0, gt=0)
    """Latency budget of a batch request, milliseconds. A request may bring its own."""

    batch_chunk_size: int = Field(default=64, ge=1, le=1024)
    """Postings of batch requests that are computed in one go; single requests wait for one such chunk at most."""

    inline_batch_ms: float = Field(default=5.0, ge=0)
    """Batches that take no longer than this when a version is warmed up, milliseconds, are computed on the event loop,
    longer ones on a thread beside it. 0: always on the thread."""

    max_waiting_in_bulk: int = Field(default=4096, ge=1)
    """Postings of batch requests that may wait at once; a request that would be the only one is let in."""

    features_cache_seconds: float = Field(default=10.0, ge=0)
    """How long rows of the online store that were read serve from memory. What is materialised is seen that much
    later, which is once an hour at most; 0 asks the store for every batch."""

    object_store_mb: int = Field(default=80, ge=76)
    """Ray's shared-memory store, MiB. Requests never pass through it; 76 is Ray's minimum."""

    start_patience_seconds: float = Field(default=120.0, gt=0)
    """An endpoint that does not become ready, or does not answer any more, is given up once its replica has neither
    worked nor said anything new for so long."""

    drain_seconds: float = Field(default=5.0, gt=0)
    """Requests in flight are given this long when the endpoint stops."""

    drain_file: Path | None = None
    """Once this file exists the endpoint is not ready, and every answer asks the client to close its connection;
    requests are answered as before. A pod touches it before it stops. `serve run` removes it at its start."""

    num_cpus: float = Field(default=1.0, gt=0)
    """Cores that a replica takes of Ray's node. Ray sets the number of its threads by it."""

    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs, or the fraction of one, that a replica takes of Ray's node."""

    replicas: int = Field(default=1, ge=1)
    """Replicas on a Ray cluster, the fewest where `max_replicas` is set. `serve run` has one, of its own port."""

    max_replicas: int | None = Field(default=None, ge=1)
    """Most replicas that Ray may scale to; None keeps `replicas`."""

    target_ongoing_requests: float = Field(default=8.0, gt=0)
    """Requests under way per replica that Ray scales towards."""

    access: AccessSettings = Field(default_factory=AccessSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: PredictionLogSettings = Field(default_factory=PredictionLogSettings)
    models: dict[ModelName, ServedModelSettings] = Field(
        default_factory=dict, json_schema_extra={"additionalProperties": False}
    )
    """Registered models that are served beside `tracking.model_name`, by name."""

    release: ReleaseSettings = Field(default_factory=ReleaseSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
