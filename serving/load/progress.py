"""How a run is going, once a second, told by a thread that looks at the generator's notes: the sender does nothing."""

from __future__ import annotations

import math
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from plumbline.cli.output import first_sign
from serving.load.exchanges import OPEN, Recorder

_PER_DOUBLING = 32
"""Latencies are counted in bins that are 2% apart: near enough for a line on the terminal."""


@dataclass
class Sample:
    """What happened since the sample before; samples of several processes can be added."""

    begun: int = 0
    answered: int = 0
    failed: int = 0
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, other: Sample) -> None:
        """Adds another one."""
        self.begun += other.begun
        self.answered += other.answered
        self.failed += other.failed
        self.bins += other.bins

    def p99_ms(self) -> float | None:
        """The 99th percentile, to 2%; None where nothing was answered."""
        left = 0.01 * sum(self.bins.values())
        for place in sorted(self.bins, reverse=True):
            left -= self.bins[place]
            if left < 0:
                return float(2.0 ** (place / _PER_DOUBLING)) / 1000
        return None


class Sampler:
    """Takes a sample every second while a run goes on. A context manager.

    Args:
        recorder: The run's notes. Only copies of slices are taken, each in one step of the interpreter.
        tell: Called with each sample, in the sampler's thread.
        every: Seconds between samples.
    """

    def __init__(self, recorder: Recorder, tell: Callable[[Sample], None], every: float = 1.0) -> None:
        self._recorder, self._tell, self._every = recorder, tell, every
        self._seen = 0
        self._open: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="load-progress", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def sample(self) -> Sample:
        """What ended since the last sample."""
        notes = self._recorder
        # The status is written last of a request's notes, so whatever has one is complete.
        first, last = self._seen, len(notes.status)
        status = np.array(notes.status[first:last])
        ended, due = np.array(notes.ended[first:last]), np.array(notes.due[first:last])
        older = [number for number in self._open if notes.status[number] != OPEN]
        latency = np.concatenate([(ended - due)[status == 200], self._latencies(older)])
        answered = len(latency)
        done = int((status != OPEN).sum()) + len(older)
        self._open = [number for number in self._open if notes.status[number] == OPEN]
        self._open += (first + np.flatnonzero(status == OPEN)).tolist()
        self._seen = last
        bins = np.floor(_PER_DOUBLING * np.log2(np.maximum(latency * 1e6, 1.0))).astype(int)
        return Sample(last - first, answered, done - answered, Counter(bins.tolist()))

    def _latencies(self, numbers: list[int]) -> np.ndarray:
        notes = self._recorder
        return np.array([notes.ended[n] - notes.due[n] for n in numbers if notes.status[n] == 200])

    def _work(self) -> None:
        while not self._stop.wait(self._every):
            self._tell(self.sample())


class ProgressLine:
    """One line on standard error, written anew with each sample; on a file, a line every ten seconds.

    Args:
        total: Requests of the whole run.
        processes: Each of which gives a sample per second.
    """

    def __init__(self, total: int, processes: int = 1) -> None:
        self._total, self._processes = total, processes
        first_sign()
        self._so_far, self._latest, self._heard = Sample(), Sample(), 0
        self._terminal = sys.stderr.isatty()

    def tell(self, sample: Sample) -> None:
        """Takes a sample of one process."""
        self._so_far.add(sample)
        self._latest.add(sample)
        self._heard += 1
        if self._heard % self._processes:
            return
        if self._terminal or self._heard // self._processes % 10 == 0:
            self._write()
        self._latest = Sample()

    def close(self) -> None:
        """Ends the line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _write(self) -> None:
        p99 = self._so_far.p99_ms()
        text = (
            f"  {math.floor(100 * self._so_far.begun / max(1, self._total))}%: {self._latest.answered}/s answered, "
            f"p99 so far {'-' if p99 is None else f'{p99:.1f} ms'}, {self._so_far.failed} errors"
        )
        sys.stderr.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
        sys.stderr.flush()
