"""Settings of the Feast repository, its stores and freshness."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class FeatureSettings(BaseModel):
    """Settings of the Feast repository, its stores and freshness."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo_module: str = "feature_repo"
    """Python package with the Feast definitions (`definitions.apply`) and their computation (`build.build_views`)."""

    service: str = "posting_classifier_v1"
    """Feast feature service that training and serving use."""

    project: str = Field(default="plumbline", pattern="^[a-z][a-z0-9_]*$")
    """Feast project: the name space of definitions in the registry and of rows in the online store."""

    registry_url: SecretStr | None = None
    """SQLAlchemy address of the registry, such as `postgresql+psycopg://...`; None is SQLite under `home`."""

    online_store: dict[str, Any] | None = Field(default=None, repr=False)
    """Feast's own online store section, such as `{"type": "redis", "connection_string": "redis:6379"}`.

    None is SQLite under `home`.
    """

    views_dir: Path | None = None
    """Folder of the computed feature views (Parquet), readable by training and monitors; None is under `home`."""

    grid_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 24
    """Hours between two rows of an entity: batch views are computed at each multiple of it, UTC."""

    activity_ttl_days: int = Field(default=14, ge=1)
    """Days after which a row of posting counts is too old to be used, in training and in serving."""

    label_ttl_days: int = Field(default=14, ge=1)
    """Days after which a row of label statistics is too old to be used, in training and in serving."""

    parity_pairs: int = Field(default=1_000, ge=1)
    """(entity, time) pairs that the parity gate compares unless told otherwise."""

    parity_instants: int = Field(default=5, ge=2)
    """Instants that the pairs are spread over; the online store is materialised up to each of them."""

    parity_relative_tolerance: float = Field(default=1e-9, gt=0)
    """Floats that differ by less, relatively, count as equal: stores may round in the last binary digit."""

    server_host: str = "127.0.0.1"
    """Address that the feature server listens on."""

    server_port: int = Field(default=6566, ge=1, le=65535)
    """Port of the feature server."""
