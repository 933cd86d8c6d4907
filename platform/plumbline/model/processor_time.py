"""What one posting costs a model: processor time, under the conditions that serving computes in.

Wall-clock time says as much about the neighbours of the machine as about the model: with torch's default number of
threads on a busy machine it is a hundred times what serving, with its own number, needs in the same minute.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from plumbline.settings import Settings

if TYPE_CHECKING:
    from plumbline.model.protocol import TextClassifier

_WARM_UP = 10


@contextmanager
def serving_threads(settings: Settings) -> Iterator[None]:
    """Gives numerical libraries as many threads as a replica has cores: Ray does the same for each replica."""
    import threadpoolctl
    import torch

    threads = max(1, int(settings.serving.num_cpus))
    before = torch.get_num_threads()
    with threadpoolctl.threadpool_limits(limits=threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def median_processor_ms(models: Sequence[TextClassifier], records: Sequence[Mapping[str, Any]]) -> list[float]:
    """Median processor time of one posting, encoding included, for each model.

    The models take turns at each posting, so that whatever slows the processor down slows all of them.

    Args:
        models: To be compared.
        records: Postings with their features; at least one.

    Returns:
        Milliseconds of processor time of the whole process, one per model.
    """
    times: list[list[float]] = [[] for _ in models]
    for record in [*records[:_WARM_UP], *records]:
        for model, taken in zip(models, times, strict=True):
            start = time.process_time()
            model.predict_proba([record])
            taken.append((time.process_time() - start) * 1000)
    return [statistics.median(taken[min(_WARM_UP, len(records)) :]) for taken in times]
