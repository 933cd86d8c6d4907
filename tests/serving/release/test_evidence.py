"""Looked at after every block, the evidence misleads no more often than it says, and finds what is bad in time."""

from __future__ import annotations

import numpy as np
import pytest

from serving.release.evidence import PairedEvidence, TwoSampleEvidence

ALPHA = 0.01 / 3


def _blocks(
    generator: np.random.Generator, champion: float, canary: float, *, seconds: float, rate: float, weight: float
):
    """Half-second blocks of 20 ms slices, in each the share of failures of the requests that came."""
    champions: list[float] = []
    canaries: list[float] = []
    for number in range(round(seconds / 0.02)):
        for mean, failing, into in ((rate * (1 - weight), champion, champions), (rate * weight, canary, canaries)):
            requests = generator.poisson(mean * 0.02)
            if requests:
                into.append(generator.binomial(requests, failing) / requests)
        if number % 25 == 24 and champions and canaries:
            yield (number + 1) * 0.02, champions, canaries
            champions, canaries = [], []


def _detected_after(generator: np.random.Generator, evidence: TwoSampleEvidence, champion: float, canary: float, **how):
    for now, xs, ys in _blocks(generator, champion, canary, **how):
        evidence.add(xs, ys)
        if evidence.refutes(ALPHA):
            return now
    return None


@pytest.mark.parametrize(
    ("champion", "canary", "within"), [(0.0, 1.0, 3), (0.001, 0.5, 6), (0.001, 0.2, 20), (0.02, 0.3, 30)]
)
def test_a_bad_canary_is_found_in_the_requests_of_30_seconds(champion: float, canary: float, within: float) -> None:
    generator = np.random.default_rng(7)
    found = [
        _detected_after(generator, TwoSampleEvidence(0.005), champion, canary, seconds=30, rate=100, weight=0.05)
        for _ in range(20)
    ]
    assert all(seconds is not None and seconds <= within for seconds in found), found


def test_a_canary_that_turns_bad_after_ten_minutes_is_found_in_30_seconds() -> None:
    generator, evidence = np.random.default_rng(3), TwoSampleEvidence(0.005)
    assert _detected_after(generator, evidence, 0.001, 0.001, seconds=600, rate=100, weight=0.05) is None
    after = _detected_after(generator, evidence, 0.001, 0.3, seconds=30, rate=100, weight=0.05)
    assert after is not None


@pytest.mark.parametrize("failing", [0.001, 0.05, 0.5])
def test_an_equal_canary_is_rolled_back_no_more_often_than_alpha_whenever_one_looks(failing: float) -> None:
    generator = np.random.default_rng(1)
    alpha, runs = 0.05, 150
    alarms = 0
    for _ in range(runs):
        evidence = TwoSampleEvidence(0.0)
        for _, xs, ys in _blocks(generator, failing, failing, seconds=60, rate=100, weight=0.1):
            evidence.add(xs, ys)
        alarms += evidence.refutes(alpha)  # at any look: the peak counts
    # 7.5 are expected at most; 15 or more have a chance of 1% under exactly alpha.
    assert alarms < 15


def test_what_stalls_both_is_held_against_neither() -> None:
    generator = np.random.default_rng(5)
    alarms = 0
    for _ in range(60):
        evidence = TwoSampleEvidence(0.0)
        for block in range(120):
            stalled = generator.random(25) < 0.02  # slices in which everybody is late
            if block % 20 == 7:
                stalled[:10] = True
            canary = generator.random(25) < 0.2
            evidence.add(stalled.astype(float), stalled[canary].astype(float) if canary.any() else [0.0])
        alarms += evidence.refutes(0.05)
    assert alarms <= 6


def test_within_its_tolerance_a_worse_canary_stays() -> None:
    generator = np.random.default_rng(9)
    evidence = TwoSampleEvidence(0.02)
    assert _detected_after(generator, evidence, 0.01, 0.025, seconds=300, rate=100, weight=0.2) is None


def test_the_mean_of_the_evidence_is_at_most_one_on_the_whole_hypothesis() -> None:
    """Exactly, over all outcomes of a block of two champions and one canary, for rates in and on the hypothesis."""
    for tolerance in (-0.1, 0.0, 0.1):
        for champion in (0.12, 0.3, 0.7, 0.85):
            for canary in (champion + tolerance, champion + tolerance - 0.05):
                if not 0 <= canary <= 1:
                    continue
                mean = 0.0
                for outcome in np.ndindex(2, 2, 2):
                    evidence = TwoSampleEvidence(tolerance)
                    evidence.add([float(outcome[0]), float(outcome[1])], [float(outcome[2])])
                    chance = np.prod([champion if x else 1 - champion for x in outcome[:2]])
                    mean += chance * (canary if outcome[2] else 1 - canary) * np.exp(evidence.log_e)
                assert mean <= 1 + 1e-9


def test_pairs_tell_a_worse_version_and_spare_an_equal_one() -> None:
    generator = np.random.default_rng(2)

    def decided(only_new_wrong: float, only_champion_wrong: float, pairs: int) -> bool:
        evidence = PairedEvidence(0.0)
        rest = 1 - only_new_wrong - only_champion_wrong
        for difference in generator.choice([1, -1, 0], size=pairs, p=[only_new_wrong, only_champion_wrong, rest]):
            evidence.add(float(difference))
        return evidence.refutes(0.05)

    assert all(decided(0.15, 0.03, 600) for _ in range(10))
    assert sum(decided(0.08, 0.08, 600) for _ in range(100)) <= 10


def test_pairs_have_a_mean_of_one_at_the_edge_of_the_hypothesis() -> None:
    mean = 0.0
    for difference, chance in ((1.0, 0.2), (-1.0, 0.1), (0.0, 0.7)):
        evidence = PairedEvidence(0.1)
        evidence.add(difference)
        mean += chance * np.exp(evidence.log_e)
    assert mean == pytest.approx(1.0)
