"""What the demo says of a first model that the gate did not let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.demo.commands import Commands
from plumbline.demo.options import DemoOptions
from plumbline.demo.progress import Progress
from plumbline.demo.stages import STAGES, DemoRun
from plumbline.errors import GateRefusedError
from plumbline.settings import Settings


@pytest.mark.parametrize(("verdict", "command"), [("reject", "promote 1 --override-gate"), ("review", "promote 1")])
def test_the_gates_reasons_and_how_to_promote_it(
    settings: Settings, tmp_path: Path, verdict: str, command: str
) -> None:
    trained = {
        "promoted": False,
        "model_version": "1",
        "gate": {"verdict": verdict, "reasons": ["Only 54 rows; 100 are needed."]},
    }
    run = DemoRun(
        options=DemoOptions(),
        settings=settings,
        progress=Progress({}, 0.0),
        commands=Commands(logs=tmp_path, run_id="1", settings_variables={"PLUMBLINE_HOME": str(settings.home)}),
        figures={"training": trained},
    )
    with pytest.raises(GateRefusedError, match=rf"Only 54 rows.*`plumbline models {command} --reason"):
        dict(STAGES)["Training"](run)
