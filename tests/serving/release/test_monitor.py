"""What counts against a canary, and what does not."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from plumbline.settings.serving_release import ReleaseSettings
from serving.engine.release_hook import Outcome
from serving.release.collector import Figures, ReleaseCollector
from serving.release.monitor import Breach, Monitor

BUDGET = 0.05


class _Traffic:
    """Outcomes, one each ten milliseconds, nine of the champion's to one of the canary's."""

    def __init__(self, **limits: Any) -> None:
        self.monitor = Monitor(ReleaseSettings(**limits), budget_seconds=BUDGET)
        self.now = 100.0
        self.breach: Breach | None = None

    def send(self, number: int, **canary: Any) -> Breach | None:
        for each in range(number):
            self.now += 0.01
            self.observe(
                "canary" if each % 10 == 0 else "champion", f"r{self.now}", **(canary if each % 10 == 0 else {})
            )
        return self.breach

    def observe(self, role: str, request_id: str, **changes: Any) -> None:
        fields = {"seconds": 0.005, "budget": BUDGET, "error": None, "own_seconds": 0.002, **changes}
        outcome = Outcome(
            role=role,  # type: ignore[arg-type]
            version="2" if role == "canary" else "1",
            request_id=request_id,
            label=None,
            probability=None,
            champion_label=None,
            **fields,
        )
        self.breach = self.breach or self.monitor.observe(outcome, self.now)


def test_a_good_canary_stays_and_its_numbers_are_told() -> None:
    traffic = _Traffic()
    assert traffic.send(3000) is None
    numbers = traffic.monitor.numbers()
    assert numbers["canary"] == {"requests": 300, "errors": 0, "late": 0, "slow": 0}
    assert numbers["champion"]["requests"] == 2700
    assert numbers["alpha_per_test"] == 0.01 / 3
    assert all(value < 0 for value in numbers["log_evidence"].values())


def test_errors_in_a_row_end_it_before_any_test_could() -> None:
    traffic = _Traffic(guard_errors=3)
    for number in range(3):
        traffic.observe("canary", f"r{number}", error="RuntimeError")
    assert traffic.breach is not None
    assert "3 requests in a row" in traffic.breach.why


def test_errors_that_the_champion_has_too_are_not_its_fault() -> None:
    traffic = _Traffic(guard_errors=3)
    for number in range(50):
        traffic.now += 0.02
        traffic.observe("canary", f"r{number}", error="ValueError")
        traffic.observe("champion", f"r{number}", error="ValueError")
    assert traffic.breach is None
    assert traffic.monitor.numbers()["canary"]["errors"] == 0


def test_an_answer_in_the_canarys_place_is_no_measure_of_the_champion() -> None:
    traffic = _Traffic(guard_errors=1000)
    traffic.observe("canary", "r1", error="ValueError")
    traffic.observe("champion", "r1", seconds=10.0)
    numbers = traffic.monitor.numbers()
    assert numbers["champion"]["requests"] == 0
    assert numbers["canary"]["errors"] == 1


def test_late_answers_and_time_of_its_own_end_it() -> None:
    late = _Traffic().send(1000, seconds=0.06)
    assert late is not None
    assert "miss the budget" in late.why
    slow = _Traffic().send(1000, own_seconds=0.03)
    assert slow is not None
    assert "its own time" in slow.why


def test_a_clients_own_budget_counts_where_it_is_longer_only() -> None:
    hasty = _Traffic()
    assert hasty.send(2000, budget=0.001) is None
    patient = _Traffic()
    assert patient.send(2000, budget=5.0, seconds=1.0, own_seconds=0.5) is None


def test_the_more_judge_the_more_evidence_each_needs() -> None:
    alone, one_of_many = _Traffic(guard_errors=1000), _Traffic(guard_errors=1000, judges=10**6)
    needed = []
    for traffic in (alone, one_of_many):
        while traffic.send(10, error="RuntimeError") is None:
            pass
        needed.append(traffic.monitor.numbers()["canary"]["requests"])
    assert needed[0] < needed[1]


def test_prometheus_sees_every_models_figures() -> None:
    class Model:
        def figures(self) -> Figures:
            return Figures(rollbacks=2, weight=0.1, log_evidence={"errors": 1.5})

    registry = CollectorRegistry()
    registry.register(ReleaseCollector({"a": Model(), "b": Model()}))
    text = generate_latest(registry).decode()
    assert 'plumbline_release_rollbacks_total{model="b"} 2.0' in text
    assert 'plumbline_canary_weight{model="a"} 0.1' in text
    assert 'plumbline_canary_log_evidence{model="a",test="errors"} 1.5' in text
    assert 'plumbline_variant_errors_total{model="a",role="shadow"} 0.0' in text
