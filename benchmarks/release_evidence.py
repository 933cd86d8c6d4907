"""The rollback's test on simulated traffic: how soon it finds a bad canary, how often it blames a good one.

    python benchmarks/release_evidence.py [--rate 100] [--weight 0.05] [--runs 200]

Requests come as a Poisson process and fail independently; observations are slices of 20 ms, looked at every half
second, as a replica does it. Prints a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from plumbline.settings.serving_release import ReleaseSettings
from serving.release.evidence import TwoSampleEvidence
from serving.release.monitor import BLOCK_SECONDS
from serving.release.observations import SLICE_SECONDS

LIMITS = ReleaseSettings()
ALPHA = LIMITS.alpha / 3
BAD = ((0.0, 1.0), (0.001, 0.5), (0.001, 0.2), (0.001, 0.1), (0.001, 0.05), (0.02, 0.3))
EQUAL = (0.001, 0.005, 0.05, 0.5)
Block = tuple[float, list[float], list[float]]


def blocks(
    generator: np.random.Generator, rates: tuple[float, float], *, seconds: float, rate: float, weight: float
) -> Iterator[Block]:
    """Time, and shares of failures of champion and canary, of each block that holds both."""
    shares: tuple[list[float], list[float]] = ([], [])
    per_block = round(BLOCK_SECONDS / SLICE_SECONDS)
    for number in range(1, round(seconds / SLICE_SECONDS) + 1):
        for into, failing, part in zip(shares, rates, (1 - weight, weight), strict=True):
            requests = generator.poisson(rate * part * SLICE_SECONDS)
            if requests:
                into.append(generator.binomial(requests, failing) / requests)
        if number % per_block == 0 and all(shares):
            yield number * SLICE_SECONDS, *shares
            shares = ([], [])


def found_after(
    generator: np.random.Generator,
    bad: tuple[float, float],
    options: argparse.Namespace,
    *,
    good_seconds: float = 0.0,
    most: float = 120.0,
) -> float | None:
    """Seconds from the fault to the refutation; a false alarm before it counts as never."""
    evidence = TwoSampleEvidence(LIMITS.error_tolerance)
    good = (bad[0], bad[0])
    for rates, seconds in ((good, good_seconds), (bad, most)):
        for now, champion, canary in blocks(
            generator, rates, seconds=seconds, rate=options.rate, weight=options.weight
        ):
            evidence.add(champion, canary)
            if evidence.refutes(ALPHA):
                return now if rates is bad else None
    return None


def false_alarms(generator: np.random.Generator, failing: float, options: argparse.Namespace, *, alpha: float) -> float:
    """Share of one-minute releases of an equal canary, without a tolerance, in which the evidence ever sufficed."""
    alarms = 0
    for _ in range(options.runs):
        evidence = TwoSampleEvidence(0.0)
        for _, champion, canary in blocks(
            generator, (failing, failing), seconds=60.0, rate=options.rate, weight=options.weight
        ):
            evidence.add(champion, canary)
        alarms += evidence.refutes(alpha)
    return alarms / options.runs


def main() -> None:
    """Simulates, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--weight", type=float, default=0.05)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    rows = []
    for good_seconds in (0.0, 600.0):
        for bad in BAD:
            runs = options.runs if good_seconds == 0 else max(1, options.runs // 10)
            found = [found_after(generator, bad, options, good_seconds=good_seconds) for _ in range(runs)]
            seconds = [each for each in found if each is not None]
            rows.append(
                {
                    "good for s": good_seconds,
                    "champion": bad[0],
                    "canary": bad[1],
                    "median s": np.median(seconds),
                    "p95 s": np.quantile(seconds, 0.95),
                    "within 30 s": sum(each <= 30 for each in seconds) / runs,
                }
            )
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3g"))
    for failing in EQUAL:
        print(f"equal at {failing}: {false_alarms(generator, failing, options, alpha=0.01):.2%} of alarms at alpha 1%")


if __name__ == "__main__":
    main()
