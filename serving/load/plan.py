"""Load plans: phases of load, one after the other. A strict model, from a YAML file or from the command's options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from plumbline.errors import MissingInputError, UserError
from plumbline.faults import explain
from serving.load.arrivals import Arrivals, Segment

_Rate = Annotated[float, Field(ge=0, le=1_000_000)]
_Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(_Strict):
    """One rate all the time."""

    kind: Literal["constant"] = "constant"
    rate: _Rate
    """Requests per second; 0 is a pause."""
    seconds: _Seconds

    def segments(self) -> list[Segment]:
        """The rate over time."""
        return [Segment(self.seconds, self.rate, self.rate)]


class Ramp(_Strict):
    """From one rate to another in a straight line."""

    kind: Literal["ramp"] = "ramp"
    start: _Rate
    """Requests per second at the beginning."""
    end: _Rate
    """Requests per second at the end."""
    seconds: _Seconds

    def segments(self) -> list[Segment]:
        """The rate over time."""
        return [Segment(self.seconds, self.start, self.end)]


class Steps(_Strict):
    """Several rates, each for the same time."""

    kind: Literal["steps"] = "steps"
    rates: Annotated[tuple[_Rate, ...], Field(min_length=1)]
    """Requests per second, one after the other."""
    each: _Seconds
    """Seconds that each rate lasts."""

    def segments(self) -> list[Segment]:
        """The rate over time."""
        return [Segment(self.each, rate, rate) for rate in self.rates]


class Spikes(_Strict):
    """A rate that jumps to a multiple of itself now and then."""

    kind: Literal["spikes"] = "spikes"
    rate: _Rate
    """Requests per second between spikes."""
    factor: float = Field(gt=1, le=1000)
    """How many times the rate a spike is."""
    every: _Seconds
    """Seconds from the beginning of a spike to the next; the first begins after the calm part of this time."""
    lasting: _Seconds
    """Seconds that a spike lasts."""
    seconds: _Seconds
    """Seconds in all."""

    @model_validator(mode="after")
    def _fits(self) -> Spikes:
        if self.lasting >= self.every:
            raise ValueError("a spike must last less than the time from one to the next")
        if self.seconds <= self.every - self.lasting:
            raise ValueError("the phase ends before its first spike begins")
        return self

    def segments(self) -> list[Segment]:
        """The rate over time."""
        found, left = [], self.seconds
        calm, high = self.every - self.lasting, self.rate * self.factor
        while left > 0:
            for seconds, rate in ((calm, self.rate), (self.lasting, high)):
                part = min(seconds, left)
                if part > 0:
                    found.append(Segment(part, rate, rate))
                left -= part
        return found


Phase = Annotated[Constant | Ramp | Steps | Spikes, Field(discriminator="kind")]


class LoadPlan(_Strict):
    """What load is put on the endpoint, when."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    """One after the other."""

    warm_up_seconds: float = Field(default=2.0, ge=0, le=3600)
    """Before the first phase, at the rate that it begins with; in no figure."""

    arrivals: Arrivals = "poisson"
    """`poisson`: as independent users arrive; `constant`: evenly spaced."""

    seed: int = 0
    """Of the arrivals, and of the sample of postings."""

    @model_validator(mode="after")
    def _sends_something(self) -> LoadPlan:
        if round(sum(segment.requests for segment in self.segments())) < 1:
            raise ValueError("the phases make no request: give a higher rate or a longer time")
        return self

    def segments(self) -> list[Segment]:
        """The rate over time, without the warm-up."""
        return [segment for phase in self.phases for segment in phase.segments()]

    def warm_up(self) -> list[Segment]:
        """The rate over the warm-up; empty if there is none."""
        rate = next((segment.start_rate or segment.end_rate for segment in self.segments()), 0.0)
        return [Segment(self.warm_up_seconds, rate, rate)] if self.warm_up_seconds else []

    @property
    def seconds(self) -> float:
        """How long the phases last."""
        return sum(segment.seconds for segment in self.segments())


def load_plan(path: Path) -> LoadPlan:
    """Loads a plan from a YAML file.

    Raises:
        MissingInputError: The file is not there.
        UserError: It is not YAML, a key is unknown (the nearest valid one is named), or a value is wrong.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no load plan {path}: give a YAML file. `plumbline load schema` says how.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that the calendar lacks
        raise UserError(f"The load plan {path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise UserError(f"The load plan {path} is not a mapping of keys to values.")
    return parse_plan(content, what=f"The load plan {path}")


def parse_plan(content: dict[str, Any], *, what: str) -> LoadPlan:
    """Validates a plan.

    Args:
        content: Keys and values of `LoadPlan`.
        what: Beginning of the error's sentence.

    Raises:
        UserError: A key is unknown, or a value is wrong.
    """
    try:
        return LoadPlan.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{what} cannot be used: {explain(error, LoadPlan)}") from error
