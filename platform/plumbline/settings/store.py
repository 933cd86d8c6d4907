"""Where immutable objects (snapshots, reports, logs) lie."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class StoreSettings(BaseModel):
    """Object store: a folder under `home` unless a bucket is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str | None = None
    """S3 bucket; None keeps objects in the folder `objects` under `home`."""

    prefix: str = "plumbline"
    """Key prefix inside the bucket."""

    endpoint_url: str | None = None
    """S3 endpoint, for stores other than AWS."""

    region: str = "us-east-1"
    """S3 region that requests are signed for."""

    access_key_id: str | None = None
    """None leaves credentials to boto3's own chain (environment, files, instance role)."""

    secret_access_key: SecretStr | None = None
    """Goes with `access_key_id`."""

    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long S3 may take to accept a connection."""

    read_timeout_seconds: float = Field(default=60.0, gt=0)
    """How long S3 may stay silent during a request."""

    attempts: int = Field(default=3, ge=1)
    """How often a request to S3 is tried."""
