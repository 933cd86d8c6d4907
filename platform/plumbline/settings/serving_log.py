"""The prediction log: segments on disk, how they reach the object store, what is kept, for how long."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Masking = Literal["drop", "hash"]

_MASKABLE = re.compile(r"company|board|posting_id|client|features|features\.\w+")


class PredictionLogSettings(BaseModel):
    """The prediction log: segments on disk, how they reach the object store, what is kept, for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment_bytes: int = Field(default=16 * 1024 * 1024, ge=4096)
    """A segment is closed, and shipped to the object store, at this size."""

    segment_seconds: float = Field(default=300.0, gt=0)
    """A segment is closed at this age."""

    sync_seconds: float = Field(default=1.0, gt=0)
    """How often the log is forced to the disk (what a power failure, not a killed process, can lose), and how often
    the room that is left is measured."""

    ship_seconds: float = Field(default=5.0, gt=0)
    """How often closed segments are looked for and shipped."""

    max_spool_bytes: int = Field(default=4 * 1024**3, ge=64 * 1024)
    """What may wait on this machine's disk while the object store is away."""

    min_free_bytes: int = Field(default=256 * 1024**2, ge=0)
    """Bytes of the disk that the spool never takes, however much it may hold: others live on it too."""

    when_full: Literal["sample", "refuse"] = "sample"
    """`sample`: from half of the room on, a share of the records that halves each time the room left does; in the
    end none; answers go on, and what is left out is counted. `refuse`: every record until the room is used up, then
    503: no answer without its record."""

    sample_rate: float = Field(default=1.0, gt=0, le=1)
    """Share of the requests whose records are kept, chosen by the request id: 1 keeps all."""

    mask: dict[str, Masking] = Field(default_factory=dict)
    """Fields that are left empty (`drop`) or replaced by a keyed hash (`hash`) before anything is written: `company`,
    `board`, `posting_id`, `client`, `features` (all of them) or `features.NAME`."""

    mask_key: SecretStr | None = None
    """Key of the hashes, 16 characters or more. Without it whoever has a list of companies could undo them."""

    retention_days: int | None = Field(default=None, ge=1)
    """`plumbline serve log prune` deletes what is older; None keeps everything."""

    @field_validator("mask")
    @classmethod
    def _known_fields(cls, mask: dict[str, Masking]) -> dict[str, Masking]:
        for name in mask:
            if not _MASKABLE.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot be masked; give company, board, posting_id, client, features or features.NAME"
                )
        if mask.get("features") == "hash":
            raise ValueError("features can be dropped as a whole, or hashed one by one as features.NAME")
        return mask

    @model_validator(mode="after")
    def _key_for_hashes(self) -> PredictionLogSettings:
        if "hash" in self.mask.values() and self.mask_key is None:
            raise ValueError("mask asks for hashes, and they need a key: set mask_key, 16 characters or more")
        return self
