"""What a user may choose about a demo run."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from plumbline.errors import MissingInputError, UserError


class DemoOptions(BaseModel):
    """Choices of one demo run. Without `data`, the built-in generator makes the postings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: Path = Path("build/demo")
    """Folder for the report and the logs of the steps."""

    data: Path | None = None
    """File of real postings; needs `mapping`."""

    mapping: Path | None = None
    """Mapping file that says which column feeds which field."""

    rows: int = Field(default=12_000, ge=1_000)
    """Postings to generate."""

    weeks: int = Field(default=26, ge=8)
    """Weeks that the generated postings are spread over."""

    seed: int = 7
    """Seed of the generator and of the drift scenario."""

    scenario: str = "vocabulary_shift"
    """Drift scenario that sets in at the change point."""

    load_rate: float = Field(default=100.0, gt=0)
    """Open-loop load, postings per second."""

    load_seconds: float = Field(default=20.0, gt=0)
    """How long the load lasts, seconds."""

    parity_pairs: int = Field(default=1_200, ge=1)
    """(entity, time) pairs on which offline and online features are compared."""

    @model_validator(mode="after")
    def _data_with_mapping(self) -> DemoOptions:
        if (self.data is None) != (self.mapping is None):
            raise UserError("Give DATA and MAPPING together: the mapping says which column feeds which field.")
        for path in (self.data, self.mapping):
            if path is not None and not path.is_file():
                raise MissingInputError(f"{path} is not a file. Check the path (it is relative to {Path.cwd()}).")
        return self

    def require_usable(self) -> None:
        """Refuses what a stage would refuse, before a run empties what an earlier one has made.

        Raises:
            UserError: There is no such scenario, or the mapping does not fit the file.
        """
        from plumbline.data.mapping import load_mapping, open_file
        from plumbline.data.scenarios import scenario

        scenario(self.scenario)
        if self.data is not None and self.mapping is not None:
            open_file(self.data, load_mapping(self.mapping))
