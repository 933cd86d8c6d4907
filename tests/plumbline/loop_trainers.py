"""Trainers for the loop's tests: what a pipeline does takes minutes, and its faults cannot be ordered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import psutil

from plumbline.controller.server import serve
from plumbline.controller.trainer import Attempt, Child, Outcome, ReleaseStep, StoppedError
from plumbline.errors import PlumblineError
from plumbline.settings import load_settings


class ScriptedTrainer:
    """Answers with the outcomes it is given, in turn: a verdict, or an error to raise."""

    def __init__(self, *script: str | Exception) -> None:
        self.script = list(script)
        self.trained: list[tuple[str, datetime, bool]] = []
        self.promoted: list[str] = []
        self.releases: list[str | Exception] = []
        self.released: list[str] = []

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

    def stop(self) -> None:
        return


class SleepingTrainer(ScriptedTrainer):
    """The first attempt sleeps in a real child process; later ones are done at once.

    The file `once` remembers, across processes, that the first attempt has been made.
    """

    def __init__(self, once: Path) -> None:
        super().__init__()
        self._once = once
        self._stop = threading.Event()

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        if self._once.exists():
            return
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        attempt.on_start(Child(child.pid, psutil.Process(child.pid).create_time()))
        self._once.write_text(str(child.pid))
        while child.poll() is None:
            if self._stop.is_set():
                child.kill()
                child.wait()
                raise StoppedError("stopped")
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()


if __name__ == "__main__":
    serve(load_settings(), port=int(sys.argv[1]), trainer=SleepingTrainer(Path(os.environ["HOME"]) / "once"))
