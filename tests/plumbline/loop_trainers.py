"""Trainers for the loop's tests: what a pipeline does takes minutes, and its faults cannot be ordered."""

from __future__ import annotations

import os
import sys
import threading
from datetime import datetime
from pathlib import Path

from plumbline.controller.process import CommandTrainer
from plumbline.controller.server import serve
from plumbline.controller.trainer import Attempt, Child, Job, Outcome, ReleaseStep, StoppedError
from plumbline.errors import PlumblineError
from plumbline.settings import Settings, load_settings


class ScriptedTrainer:
    """Answers with the outcomes it is given, in turn: a verdict, or an error to raise."""

    def __init__(self, *script: str | Exception) -> None:
        self.script = list(script)
        self.trained: list[tuple[str, datetime, bool]] = []
        self.promoted: list[str] = []
        self.releases: list[str | Exception] = []
        self.released: list[str] = []
        self.rejected: list[str] = []
        self.ended: list[Child | Job] = []

    @property
    def resumes(self) -> bool:
        return False

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        return

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        self.trained.append((snapshot, as_of, promote))
        step = self.script.pop(0) if self.script else "promote"
        if isinstance(step, Exception):
            raise step
        version = str(len(self.trained) + 1)
        gate = {"verdict": step, "reasons": ["because"]}
        return Outcome(step, version, f"run{version}", step == "promote" and promote, {"gate": gate})

    def promote(self, version: str, reason: str, *, attempt: Attempt) -> None:
        if self.script and isinstance(self.script[0], PlumblineError):
            raise self.script.pop(0)
        self.promoted.append(version)

    def release(self, version: str, reason: str, *, attempt: Attempt) -> ReleaseStep:
        self.released.append(version)
        step = self.releases.pop(0) if self.releases else "running"
        if isinstance(step, Exception):
            raise step
        return ReleaseStep(step, f"It is {step}.", {"requests": 600})  # type: ignore[arg-type]

    def reject(self, version: str, reason: str, *, attempt: Attempt) -> None:
        self.rejected.append(version)

    def end(self, left: Child | Job) -> None:
        self.ended.append(left)

    def stop(self) -> None:
        return


class BlockedTrainer(ScriptedTrainer):
    """Never gets on; a stop ends it."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = threading.Event()

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        self._stopped.wait()
        attempt.on_stop()
        raise StoppedError("stopped")

    def stop(self) -> None:
        self._stopped.set()


class SleepingTrainer(ScriptedTrainer):
    """Each step is a real child process, which sleeps as long as a file with the step's name is there.

    The first one writes its process id into that file.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__()
        self._commands = CommandTrainer(settings)
        self._folder = folder

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        self._sleep("features", attempt)
        super().prepare(snapshot, as_of, attempt=attempt)

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        self._sleep("training", attempt)
        return super().train(snapshot, as_of, reason=reason, promote=promote, attempt=attempt)

    def end(self, left: Child | Job) -> None:
        self._commands.end(left)

    def stop(self) -> None:
        self._commands.stop()

    def _sleep(self, step: str, attempt: Attempt) -> None:
        self._commands.run_line([sys.executable, "-c", SLEEP, str(self._folder / step)], (step,), attempt)


SLEEP = """
import os, pathlib, signal, sys, time
file = pathlib.Path(sys.argv[1])
if file.with_name("stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
file.with_suffix(".new").write_text(str(os.getpid()))
file.with_suffix(".new").rename(file.with_suffix(".pid"))
while file.exists():
    time.sleep(0.05)
print("{}")
"""


if __name__ == "__main__":
    ours = load_settings()
    serve(ours, port=int(sys.argv[1]), trainer=SleepingTrainer(ours, Path(os.environ["HOME"])))
