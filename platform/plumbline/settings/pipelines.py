"""Settings of KFP runners, and of the gate that a new model has to pass."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from plumbline.settings.pipelines_cluster import Schedule, SecretKey, StepSettings


class GateSettings(BaseModel):
    """What a challenger must show before it becomes the champion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Literal["accuracy", "macro_f1"] = "accuracy"
    """Figure whose difference to the champion must be above zero with `confidence`."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence of the paired bootstrap's lower bound."""

    resamples: int = Field(default=2000, ge=200)
    """Bootstrap resamples."""

    seed: int = 20210628
    """Seed of the resampling."""

    min_rows: int = Field(default=100, ge=1)
    """Fewest untouched rows that a verdict may rest on."""

    min_parity_pairs: int = Field(default=100, ge=1)
    """Fewest (entity, time) pairs on which offline and online features must have been compared."""

    other_metric_tolerance: float = Field(default=0.02, ge=0)
    """How far the figure that is not `metric` may fall (point estimate)."""

    slice_min_rows: int = Field(default=30, ge=1)
    """Slices (boards, classes) with fewer rows are not judged."""

    slice_tolerance: float = Field(default=0.05, ge=0)
    """A board's accuracy or a class's F1 may fall by this much; a larger fall rejects when it is significant, too."""

    slice_alpha: float = Field(default=0.05, gt=0, lt=1)
    """Chance of rejecting for a slice although none is worse, over all slices together."""

    floor_margin: float = Field(default=0.05, ge=0)
    """Without a champion: accuracy's lower bound must be above the majority class's share by this much."""

    floor_macro_f1: float = Field(default=0.20, ge=0, le=1)
    """Without a champion: macro-F1 must reach this."""

    max_calibration_error: float = Field(default=0.15, gt=0)
    """Largest expected calibration error on the evaluation rows."""

    max_processor_ms: float = Field(default=15.0, gt=0)
    """Largest median processor time of one posting through the model, milliseconds, with serving's threads. A version
    above it that keeps every other rule becomes the challenger, and is promoted by a person only."""

    slowdown_tolerance: float = Field(default=0.10, ge=0)
    """Above `max_processor_ms`, a version may still take this share longer than the champion, measured in turns."""


class PipelineSettings(BaseModel):
    """Settings of KFP runners, and of the gate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = "plumbline/pipelines:0.1.0"
    """Image of the pipelines' components on a cluster: Python with Plumbline and its `pipelines` extra."""

    config_map: str = "plumbline-settings"
    """ConfigMap with the settings file, mounted where the image's PLUMBLINE_CONFIG points."""

    config_mount: str = "/etc/plumbline"
    """Folder that the ConfigMap is mounted at."""

    runner: Literal["embedded", "kfp"] = "embedded"
    """Where the bootstrap and the controller's retrainings run a pipeline: in their own process, or on the KFP API
    server at `host`."""

    host: str | None = None
    """Address of the KFP API server that `pipeline submit` sends to."""

    namespace: str = "kubeflow"
    """Namespace of the runs, where the KFP API server has many users; one with a single user knows its own."""

    token: SecretStr | None = None
    """Bearer token for the KFP API server."""

    token_file: Path | None = None
    """File with the token instead, read anew for each command: a service account's projected token."""

    timeout_seconds: float = Field(default=5.0, gt=0)
    """How long the KFP API server may take to accept a connection."""

    run_patience_seconds: float = Field(default=3600.0, gt=0)
    """`pipeline submit --wait` waits for the end of a run until no step of it has begun or ended for so long."""

    poll_seconds: float = Field(default=5.0, gt=0)
    """Time between two looks at a run that is waited for."""

    service_account: str | None = None
    """ServiceAccount of the pods of runs; none is the server's default."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When a node fetches the steps' image."""

    image_pull_secrets: list[str] = Field(default_factory=list)
    """Secrets with the credentials of the steps' image's registry."""

    credentials: dict[str, SecretKey] = Field(default_factory=dict)
    """Environment variables of the steps that come from Secrets: variable -> Secret and key."""

    steps: dict[str, StepSettings] = Field(default_factory=dict)
    """Resources and place of single steps, by name; `default` holds for all."""

    schedules: list[Schedule] = Field(default_factory=list)
    """Recurring runs that `pipeline schedule` brings to the KFP API server."""

    keep_runs: int = Field(default=3, ge=1)
    """Local runs whose intermediate files are kept."""

    require_approval: bool = False
    """A passed gate makes the version `challenger` only; a person promotes it."""

    gate: GateSettings = Field(default_factory=GateSettings)
    """What a challenger must show."""
