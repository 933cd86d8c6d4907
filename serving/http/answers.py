"""What the endpoint answers, as the API's schema shows it. The hot path writes these bodies by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Root(BaseModel):
    """What answers at this address."""

    name: str
    version: str
    models: list[str] = Field(description="Names of the served models; the default model first.")
    links: dict[str, str] = Field(description="Paths to go on from here.")


class ModelReference(BaseModel):
    """The version that answered."""

    name: str
    version: str


class Timings(BaseModel):
    """Milliseconds that the request spent, by stage; the stages are those of its whole batch."""

    queue: float = Field(description="From arrival until its batch was closed.")
    features: float = Field(description="Online features.")
    encode: float = Field(description="Turning the batch into the model's input.")
    model: float = Field(description="Forward pass.")
    total: float = Field(description="From arrival until its batch was answered and about to be logged.")
    log: float = Field(description="Writing the batch's records to the prediction log.")


class Classification(BaseModel):
    """Answer to one posting."""

    model_config = ConfigDict(extra="forbid")

    posting_id: str
    request_id: str = Field(description="The client's X-Request-ID, or one of ours. Names the answer in the log.")
    label: str = Field(description="Most probable class.")
    probability: float = Field(ge=0, le=1, description="Calibrated probability of that class.")
    model: ModelReference
    degraded: bool = Field(description="Whether defaults stand for features that could not be had in time.")
    degraded_reasons: list[str]
    timings_ms: Timings


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    reason: str


class Problem(BaseModel):
    """Problem document (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="urn:plumbline:problem: and the title.")
    title: str = Field(description="Kind of problem, the same for every request of its kind.")
    status: int
    detail: str = Field(description="What is wrong with this request, and what to do.")
    request_id: str
    errors: list[FieldProblem] = []


class Classifications(BaseModel):
    """Answers to a batch: one per posting, in their order."""

    model_config = ConfigDict(extra="forbid")

    results: list[Classification | Problem] = Field(
        description="Where the model cannot answer a posting, a problem stands in the answer's place."
    )


class Following(BaseModel):
    """How the alias of a served model is followed."""

    model_config = ConfigDict(from_attributes=True)

    state: Literal["followed", "uncovered", "gone", "failed"] = Field(
        description="Whether what the alias names is served, or: nobody has said that it may be served; it names "
        "nothing any more; it cannot be read or loaded."
    )
    version: str | None = Field(description="What the alias names, as far as is known.")
    reason: str | None = Field(description="What is wrong, and what to do.")
    since: datetime


class ModelStatus(BaseModel):
    """A loaded version of a served model."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    role: Literal["champion", "canary", "shadow"]
    alias: str
    version: str
    digest: str = Field(description="SHA-256 of the model's files.")
    loaded_at: datetime
    labels: int = Field(description="Number of classes.")
    following: Following | None = Field(description="Of champions alone: a release brings the others in.")


class Models(BaseModel):
    """All loaded versions of all served models, the default model first, each model's champion first."""

    models: list[ModelStatus]


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    ready: bool
    reason: str | None = Field(description="Why not.")


class Alive(BaseModel):
    """The process is alive."""

    status: Literal["alive"]
