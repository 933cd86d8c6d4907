"""What a posting costs is counted in processor time, with serving's threads, and in turns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import threadpoolctl
import torch

from plumbline.model.processor_time import median_processor_ms, serving_threads
from plumbline.model.protocol import TextClassifier
from plumbline.settings import Settings

RECORDS: list[dict[str, Any]] = [{"title": f"Nurse {number}", "description": "On the ward."} for number in range(20)]


class _Model:
    """Waits and works for so long; keeps the order in which models were asked."""

    def __init__(self, asked: list[str], name: str, *, waits: float = 0.0, works: float = 0.0) -> None:
        self._asked, self._name, self._waits, self._works = asked, name, waits, works

    def predict_proba(self, records: Sequence[Any]) -> np.ndarray:
        self._asked.append(self._name)
        time.sleep(self._waits)
        start = time.thread_time()
        while time.thread_time() - start < self._works:
            pass
        return np.ones((len(records), 1), np.float32)


def _models(*models: _Model) -> list[TextClassifier]:
    return [cast("TextClassifier", model) for model in models]


def test_waiting_costs_nothing_and_work_does() -> None:
    asked: list[str] = []
    idle, busy = median_processor_ms(
        _models(_Model(asked, "idle", waits=0.005), _Model(asked, "busy", works=0.003)), RECORDS
    )
    assert busy >= 3.0
    assert idle < busy


def test_models_take_turns_and_the_first_postings_warm_up() -> None:
    asked: list[str] = []
    median_processor_ms(_models(_Model(asked, "a"), _Model(asked, "b")), RECORDS)
    assert asked == ["a", "b"] * (10 + len(RECORDS))


def test_a_single_posting_is_enough() -> None:
    asked: list[str] = []
    (cost,) = median_processor_ms(_models(_Model(asked, "a", works=0.002)), RECORDS[:1])
    assert cost >= 2.0
    assert len(asked) == 2


def test_serving_has_one_thread_per_core_of_a_replica(settings: Settings) -> None:
    before = torch.get_num_threads()
    three = settings.model_copy(update={"serving": settings.serving.model_copy(update={"num_cpus": 3.0})})
    for chosen, threads in ((settings, 1), (three, 3)):
        with serving_threads(chosen):
            assert torch.get_num_threads() == threads
            assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {threads}
    assert torch.get_num_threads() == before
