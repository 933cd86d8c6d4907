"""What the endpoint answers, as the API's schema shows it. The hot path writes these bodies by hand."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class ModelReference(BaseModel):
    """The version that answered."""

    name: str
    version: str


class Timings(BaseModel):
    """Milliseconds that the request spent, by stage."""

    queue: float = Field(description="From arrival until its batch was closed.")
    features: float = Field(description="Online features of the whole batch.")
    encode: float = Field(description="Turning the batch into the model's input.")
    model: float = Field(description="Forward pass of the batch.")
    total: float = Field(description="From arrival until the answer was logged.")


class Classification(BaseModel):
    """Answer to one posting."""

    posting_id: str
    request_id: str = Field(description="The client's X-Request-ID, or one of ours. Names the answer in the log.")
    label: str = Field(description="Most probable class.")
    probability: float = Field(ge=0, le=1, description="Calibrated probability of that class.")
    model: ModelReference
    degraded: bool = Field(description="Whether defaults stand for features that could not be had in time.")
    degraded_reasons: list[str]
    timings_ms: Timings


class ModelStatus(BaseModel):
    """The served model."""

    name: str
    alias: str
    version: str
    digest: str = Field(description="SHA-256 of the model's files.")
    loaded_at: datetime
    labels: int = Field(description="Number of classes.")


class Models(BaseModel):
    """All served models."""

    models: list[ModelStatus]


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    reason: str


class Problem(BaseModel):
    """Problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] = []
