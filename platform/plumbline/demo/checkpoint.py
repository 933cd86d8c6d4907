"""How far a demo has come: written after each stage, so that a run that had to give up goes on from there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plumbline.demo.options import DemoOptions
from plumbline.errors import IntegrityError, MissingInputError, UserError
from plumbline.faults import reason
from plumbline.files import atomic_write

_FILE = "demo.json"


@dataclass
class Checkpoint:
    """The state of a run, kept beside what the run has made.

    Attributes:
        options: What the run was asked for.
        figures: Everything found out so far, by subject.
        done: Names of the stages that have ended well, with their seconds.
        seconds: Duration of each step, by name.
        elapsed: Seconds that the run has taken, pauses left out.
        peak_mb: Most memory that it has taken, MiB.
    """

    options: DemoOptions
    figures: dict[str, Any] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    elapsed: float = 0.0
    peak_mb: float = 0.0

    def save(self, home: Path) -> None:
        """Writes it whole."""
        content = {**vars(self), "options": self.options.model_dump(mode="json")}
        with atomic_write(home / _FILE) as path:
            path.write_text(json.dumps(content, ensure_ascii=False, default=str), encoding="utf-8")


def load_checkpoint(home: Path, given: DemoOptions) -> Checkpoint:
    """Reads what an earlier run has left.

    Args:
        home: The run's state.
        given: Options of the present command: those that differ from the defaults must be the earlier run's, except
            the folder of the report.

    Raises:
        MissingInputError: There is no run to go on with.
        UserError: Another run was asked for.
        IntegrityError: The file is damaged.
    """
    path = home / _FILE
    if not path.is_file():
        raise MissingInputError(f"{home} holds no demo that could go on. Run the demo without --resume.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checkpoint = Checkpoint(**{**content, "options": DemoOptions.model_validate(content["options"])})
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{path} is damaged ({reason(error)}). Run the demo without --resume.") from error
    asked, kept, usual = given.model_dump(), checkpoint.options.model_dump(), DemoOptions().model_dump()
    other = [name for name in asked if name != "out" and asked[name] not in (kept[name], usual[name])]
    if other:
        raise UserError(
            f"The demo in {home} was started with other options ({', '.join(sorted(other))}). Leave them out to go on "
            "with it, or run without --resume to start anew."
        )
    checkpoint.options = checkpoint.options.model_copy(update={"out": given.out})
    return checkpoint
