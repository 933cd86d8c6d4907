"""Whether a controller works on the state, and all that the state holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plumbline.controller.lock import Holder, holder_of, last_holder
from plumbline.controller.records import CANCELLING, Retraining
from plumbline.controller.state import ControllerState
from plumbline.settings import Settings


@dataclass(frozen=True)
class Health:
    """Whether a controller works on the state.

    Attributes:
        works: Whether one does.
        holder: The one that does, else the last that did; None where none is known.
        message: In a sentence, with what to do where there is something to do.
    """

    works: bool
    holder: Holder | None
    message: str

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        known = {"pid": None, "host": None, "since": None} if self.holder is None else vars(self.holder)
        return {"works": self.works, **known, "message": self.message}


def describe(settings: Settings, state: ControllerState) -> dict[str, Any]:
    """Whether a controller works on the state, every retraining, oldest first, and every alert, latest first."""
    retrainings = state.retrainings()
    return {
        "controller": health_of(settings, retrainings).to_json(),
        "retrainings": [each.to_json() for each in retrainings],
        "alerts": state.alerts(),
    }


def health_of(settings: Settings, retrainings: list[Retraining]) -> Health:
    """Whether a controller works on the state, and what to do where none does.

    Args:
        settings: Name the state.
        retrainings: Those that the answer is about: without a controller, some of them wait for one.
    """
    holder = holder_of(settings)
    if holder is not None:
        told = f"A controller works on this state since {holder.since} (process {holder.pid} on {holder.host})."
        return Health(True, holder, told)
    last = last_holder(settings)
    gone = "No controller works on this state"
    if last is not None:
        gone += f": the last one (process {last.pid} on {last.host}, since {last.since}) has ended"
    waiting = [f"{each.id} ({each.state})" for each in retrainings if _waits(each)]
    if not waiting:
        return Health(False, last, f"{gone}. `plumbline controller run` starts one, which then takes alerts.")
    numbers = ", ".join(waiting)
    return Health(
        False,
        last,
        f"{gone}, and nobody works on retraining {numbers}. `plumbline controller run` starts one, which takes them "
        "up; on a cluster `kubectl get pods` shows why the controller's pod does not run.",
    )


def _waits(retraining: Retraining) -> bool:
    return retraining.state in ("queued", "running", "releasing") or retraining.step == CANCELLING
