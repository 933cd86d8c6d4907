"""Streams of postings with a reference, as the detector takes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd

from monitoring.detector import Detector, Finding
from monitoring.policy import load_policy
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.known import known_at
from plumbline.data.scenarios import apply_scenario

WEEK = timedelta(days=7)
WEEKS = 20
REFERENCE_WEEKS = 12
START = GeneratorConfig().start
END = START + REFERENCE_WEEKS * WEEK
"""End of the reference."""

CHANGE = END + 2 * WEEK
"""True change point: the first window after the reference is clean."""

UNSEEN = 3
"""Last weeks of the reference with answers."""


@cache
def stream(seed: int) -> pd.DataFrame:
    """A generated stream; not to be changed."""
    return pd.concat(list(generate(GeneratorConfig(rows=9_000, weeks=WEEKS, seed=seed))), ignore_index=True)


@cache
def moved(seed: int, scenario: str) -> pd.DataFrame:
    """The stream with a scenario from `CHANGE` on."""
    return pd.concat(list(apply_scenario([stream(seed)], scenario, CHANGE, seed=seed)), ignore_index=True)


def with_answers(frame: pd.DataFrame, *, accuracy: float = 0.9, seed: int = 0) -> pd.DataFrame:
    """The frame with the answers of a classifier that is right in so many cases, whatever it is asked."""
    random = np.random.default_rng([seed, len(frame)])
    labels = np.array(sorted(stream(1)["label"].dropna().unique()), dtype=object)
    truth = frame["label"].to_numpy(dtype=object)
    guess = labels[random.integers(0, len(labels), len(frame))]
    right = (random.random(len(frame)) < accuracy) & frame["label"].notna().to_numpy()
    probability = np.clip(random.normal(0.85, 0.1, len(frame)), 0.2, 1.0)
    return frame.assign(prediction=np.where(right, truth, guess), probability=probability)


@cache
def detector(seed: int) -> Detector:
    """A detector on the stream's first weeks."""
    reference = with_answers(known_at(stream(seed), END))
    fitted = reference["event_timestamp"] < pd.Timestamp(END - UNSEEN * WEEK)
    reference.loc[fitted, "prediction"] = None
    reference.loc[fitted, "probability"] = np.nan
    return Detector(reference, load_policy("default"), anchor=END)


def window(frame: pd.DataFrame, start: datetime, weeks: int = 2, **answers: float) -> pd.DataFrame:
    """Postings of a window with the labels that had arrived at its end, and answers."""
    stop = start + weeks * WEEK
    known = with_answers(known_at(frame, stop), **answers)  # type: ignore[arg-type]
    return known[known["event_timestamp"] >= pd.Timestamp(start)].reset_index(drop=True)


def breached(findings: list[Finding]) -> list[str]:
    """Names of the breached tests."""
    return [finding.name for finding in findings if finding.breached]
