"""What a pipeline's steps get on a cluster, and when pipelines run by themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SecretKey(BaseModel):
    """A key of a Kubernetes Secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(min_length=1)
    """Name of the Secret, in the namespace of the runs."""

    key: str = Field(min_length=1)
    """Key in it."""


class Toleration(BaseModel):
    """A taint that a step's pod may be scheduled beside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str | None = None
    """Key of the taint; none tolerates every key."""

    operator: Literal["Equal", "Exists"] = "Equal"
    """How key and value are compared."""

    value: str | None = None
    """Value of the taint."""

    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    """Effect of the taint; none tolerates every effect."""


class StepSettings(BaseModel):
    """Where and with what a step runs; what is not set here is taken from the step `default`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu_request: str | None = None
    """CPUs that are reserved, as in 250m."""

    cpu_limit: str | None = None
    """CPUs at most."""

    memory_request: str | None = None
    """Memory that is reserved, as in 1Gi."""

    memory_limit: str | None = None
    """Memory at most."""

    gpus: int = Field(default=0, ge=0)
    """GPUs; the image must then be one that can use them."""

    gpu_resource: str = "nvidia.com/gpu"
    """Kubernetes' name for such a GPU."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that it may run on."""

    tolerations: list[Toleration] = Field(default_factory=list)
    """Taints that it may run beside."""

    timeout_seconds: int | None = Field(default=None, ge=1)
    """It is ended after this time."""


class Schedule(BaseModel):
    """A recurring run on the KFP API server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=63)
    """Its name there."""

    pipeline: str = "training"
    """Pipeline that is run."""

    cron: str = Field(pattern=r"^\S+(\s+\S+){4}$")
    """When: minute, hour, day of the month, month, day of the week."""

    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Parameters of the pipeline; the others keep their defaults. An empty `as_of` is the time of the run."""

    enabled: bool = True
    """Off: it stays on the server, and starts nothing."""

    max_concurrency: int = Field(default=1, ge=1, le=10)
    """Runs of it at the same time."""
