"""From the command's options to a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.errors import UserError
from serving.load.plan import LoadPlan, load_plan, parse_plan

DEFAULT_RATE = 100.0
DEFAULT_SECONDS = 20.0
_RANGE = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
_FACTOR = re.compile(r"(\d+(?:\.\d+)?)x")


@dataclass(frozen=True)
class ShapeOptions:
    """What the options say about the rate over time; None where one was not given.

    Attributes:
        rate: Requests per second.
        duration: Seconds.
        ramp: `100:1500`.
        over: Seconds of the ramp.
        steps: `100,300,500`.
        each: Seconds of each step.
        spike: `5x`.
        every: Seconds from one spike to the next.
        lasting: Seconds of a spike.
        plan: YAML file, in place of all of them.
        warm_up: Seconds.
        arrivals: `poisson` or `constant`.
        seed: Of arrivals and postings.
    """

    rate: float | None = None
    duration: float | None = None
    ramp: str | None = None
    over: float | None = None
    steps: str | None = None
    each: float | None = None
    spike: str | None = None
    every: float | None = None
    lasting: float | None = None
    plan: Path | None = None
    warm_up: float | None = None
    arrivals: str | None = None
    seed: int | None = None


_NAMES = {"lasting": "for", "warm_up": "warm-up"}
_SHAPES = {
    "plan": ("plan",),
    "ramp": ("ramp", "over"),
    "steps": ("steps", "each"),
    "spike": ("spike", "every", "lasting", "rate", "duration"),
}


def plan_of(options: ShapeOptions) -> LoadPlan:
    """The plan that the options describe.

    Raises:
        MissingInputError: The plan's file is not there.
        UserError: Options do not go together, or a value cannot be read; the sentence says which.
    """
    given = {name for name, value in vars(options).items() if value is not None}
    shapes = [shape for shape in _SHAPES if shape in given]
    if len(shapes) > 1:
        raise UserError(f"Give one of --{' and --'.join(shapes)}, not both.")
    allowed = set(_SHAPES[shapes[0]] if shapes else ("rate", "duration"))
    if "plan" not in allowed:
        allowed |= {"warm_up", "arrivals", "seed"}
    if excess := sorted(given - allowed):
        where = f"with --{shapes[0]}" if shapes else "without what they describe (--ramp, --steps or --spike)"
        raise UserError(f"{', '.join(_option(name) for name in excess)} cannot be given {where}.")
    if options.plan is not None:
        return load_plan(options.plan)
    content: dict[str, Any] = {"phases": [_phase(options)]}
    for name, key in (("warm_up", "warm_up_seconds"), ("arrivals", "arrivals"), ("seed", "seed")):
        if (value := getattr(options, name)) is not None:
            content[key] = value
    return parse_plan(content, what="The options")


def _phase(options: ShapeOptions) -> dict[str, Any]:
    rate = DEFAULT_RATE if options.rate is None else options.rate
    seconds = DEFAULT_SECONDS if options.duration is None else options.duration
    if options.ramp is not None:
        start, end = _match(_RANGE, options.ramp, "--ramp 100:1500").groups()
        return {"kind": "ramp", "start": float(start), "end": float(end), "seconds": _needed(options, "over")}
    if options.steps is not None:
        return {"kind": "steps", "rates": _numbers(options.steps), "each": _needed(options, "each")}
    if options.spike is not None:
        return {
            "kind": "spikes",
            "rate": rate,
            "factor": float(_match(_FACTOR, options.spike, "--spike 5x").group(1)),
            "every": _needed(options, "every"),
            "lasting": _needed(options, "lasting"),
            "seconds": seconds,
        }
    return {"kind": "constant", "rate": rate, "seconds": seconds}


def _match(pattern: re.Pattern[str], text: str, example: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} cannot be read: write it as in {example}.")
    return match


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"{text!r} cannot be read: write it as in --steps 100,300,500.") from error


def _needed(options: ShapeOptions, name: str) -> float:
    value: float | None = getattr(options, name)
    if value is None:
        raise UserError(f"Give {_option(name)}, in seconds, too.")
    return value


def _option(name: str) -> str:
    return f"--{_NAMES.get(name, name)}"
