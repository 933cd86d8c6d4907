"""One system while it runs: started, asked until it answers, its CPU and memory read, stopped to its last process."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.serving.servers.champion import MODEL_VARIABLE
from benchmarks.serving.systems import VENV, Place, System
from plumbline.errors import PlumblineError
from plumbline.process.marks import RUN_VARIABLE, marked_processes, stop_marked
from plumbline.process.watchdog import Watchdog

START_SECONDS = 180.0
_STOP_SECONDS = 20.0
_GRACE_SECONDS = 5.0
_SETTLED_SECONDS = 0.25
"""A backlog that is shorter is worked off in the warm-up of the next load."""
_SETTLE_PATIENCE_SECONDS = 30.0
_TAIL_LINES = 15
_NEVER = (400, 401, 403, 415, 422)
"""A system that starts may answer 404 or 503; these do not pass."""


class ServingProcess:
    """A system that answers.

    Attributes:
        url: The route that classifies one posting.
        start_seconds: From the command to the first answer.
    """

    def __init__(self, system: System, place: Place, run_id: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.system, self._place = system, place
        self._run_id, self._process, self._log = run_id, process, log
        self.url = f"http://127.0.0.1:{place.port}{system.path}"
        self.start_seconds = 0.0

    def ask(self, body: bytes, *, timeout: float = 10.0) -> tuple[int, bytes]:
        """Status and body of the answer to one request.

        Raises:
            OSError: Nothing listens, or the connection broke.
            http.client.HTTPException: What came is not HTTP.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._place.port, timeout=timeout)
        try:
            connection.request("POST", self.system.path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def label_of(self, body: bytes) -> str:
        """The label in the answer to one request.

        Raises:
            PlumblineError: The system does not answer with one.
        """
        status, answer = self.ask(body)
        if status != http.client.OK:
            raise PlumblineError(f"{self.system.title} answered {status}: {answer[:300]!r}; see {self._log}.")
        return self.system.label(orjson.loads(answer))

    def wait_until_answering(self, body: bytes, since: float) -> None:
        """Waits for a first answer.

        Raises:
            PlumblineError: The system ended, or did not answer in time.
        """
        said = "it does not listen"
        while time.monotonic() - since < START_SECONDS:
            if self._process.poll() is not None:
                raise PlumblineError(
                    f"{self.system.title} ended with {self._process.returncode} before it answered:\n{self._tail()}"
                )
            try:
                status, answer = self.ask(body)
            except (OSError, http.client.HTTPException) as error:
                said = str(error)
            else:
                if status == http.client.OK:
                    self.start_seconds = time.monotonic() - since
                    return
                if status in _NEVER:
                    raise PlumblineError(f"{self.system.title} refuses a posting: {status} {answer[:300]!r}.")
                said = f"{status} {answer[:200]!r}"
            time.sleep(0.1)
        raise PlumblineError(
            f"{self.system.title} did not answer within {START_SECONDS:.0f} s ({said}):\n{self._tail()}"
        )

    def settle(self, body: bytes) -> None:
        """Waits until what an overload has left behind is worked off, so that it does not fall into the next load.

        Raises:
            PlumblineError: The system does not come back.
        """
        deadline = time.monotonic() + _SETTLE_PATIENCE_SECONDS
        quick = 0
        while quick < 3:
            start = time.monotonic()
            try:
                status, _ = self.ask(body)
            except (OSError, http.client.HTTPException):
                status = 0
            now = time.monotonic()
            quick = quick + 1 if status == http.client.OK and now - start < _SETTLED_SECONDS else 0
            if now > deadline:
                raise PlumblineError(
                    f"{self.system.title} did not come to rest within {_SETTLE_PATIENCE_SECONDS:.0f} s:\n{self._tail()}"
                )
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """All processes of the system, its daemons too."""
        return marked_processes(self._run_id)

    def memory_mb(self) -> float:
        """Proportional set size of all processes, MiB: a page that processes share counts once."""
        total = 0.0
        for process in self.processes():
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue  # ended between the listing and the reading
        return total / 2**20

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def cpu_seconds(processes: list[psutil.Process]) -> dict[int, tuple[str, float]]:
    """Name and CPU seconds of each process, to 10 ms; one that has ended is left out."""
    found = {}
    for process in processes:
        try:
            times = process.cpu_times()
            found[process.pid] = (_short_name(process), times.user + times.system)
        except psutil.NoSuchProcess:
            continue  # its share is lost: servers do not end processes while they serve
    return found


def _short_name(process: psutil.Process) -> str:
    """`ray::ServeReplica`, `gcs_server`, `python`: what a table has room for."""
    return process.name().partition(".")[0][:32]


@contextmanager
def serving(system: System, place: Place, body: bytes) -> Iterator[ServingProcess]:
    """Starts a system, gives it once it answers, and leaves no process of it.

    Args:
        system: What to start.
        place: What it is told.
        body: A request that it must answer.

    Raises:
        PlumblineError: It does not start.
    """
    run_id = f"bench-{system.name}-{secrets.token_hex(4)}"
    place.work.mkdir(parents=True, exist_ok=True)
    log = place.work / f"{system.name}.log"
    with Watchdog(run_id):
        since = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                system.command(place),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(system.environment(place), place, run_id),
                start_new_session=True,
            )
        running = ServingProcess(system, place, run_id, process, log)
        try:
            running.wait_until_answering(body, since)
            yield running
        finally:
            _stop(process, run_id)


def _environment(further: Mapping[str, str], place: Place, run_id: str) -> dict[str, str]:
    # A Ray, a configuration or a bytecode setting of the caller's would make the systems unequal.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "BENTOML_", "MLFLOW_", "PLUMBLINE_SERVING__"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **kept,
        "PATH": f"{VENV}{os.pathsep}{os.environ.get('PATH', '')}",  # `mlflow models serve` looks for uvicorn there
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        RUN_VARIABLE: run_id,
        MODEL_VARIABLE: str(place.model),
        **further,
    }


def _stop(process: subprocess.Popen[bytes], run_id: str) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    stop_marked(run_id, grace_seconds=_GRACE_SECONDS)


def busy_seconds() -> float:
    """CPU seconds that all processes of the machine have used."""
    times: Any = psutil.cpu_times()
    # Linux tells more kinds apart than macOS does.
    return float(sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq", "steal")))
