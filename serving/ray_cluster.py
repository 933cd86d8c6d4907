"""A Ray of our own on this machine: small, private, and gone without a trace when we are."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from plumbline.errors import PlumblineError
from plumbline.locks import exclusive, try_exclusive
from plumbline.process.patience import processor_seconds
from plumbline.settings import Settings
from serving.ray_ports import chosen_agent_ports

_PREFIX = "plumbline-ray-"
_LOCK = "lock"
_LOOPBACK = "127.0.0.1"
_MIB = 1024 * 1024
_LEFTOVER_SECONDS = 3.0
_TRIES = 3
_OWN = frozenset({"gcs_server", "raylet"})
_log = logging.getLogger(__name__)


_SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "5000",
    # Ray's workers step back for every other process (niceness 15): whatever else runs on the core would go before
    # the replica, which has a promise to keep.
    "RAY_worker_niceness": "0",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Ray waits for its own processes for half a minute each. On a busy machine they need more, and a start that does
    # not get on is given up by whoever waits for the endpoint.
    "RAY_gcs_server_port_wait_time_s": "600",
    "RAY_agent_register_timeout_ms": "600000",
}
"""Environment of the Ray processes. Ray reads it once, when it is imported and when its processes start."""


class _NoFolders(list[str]):
    """Stays empty. Ray would add the working folder, and workers would import a user's `serving/` from there."""

    def extend(self, _: Iterable[str]) -> None:
        """Adds nothing."""


@contextlib.contextmanager
def private_ray(settings: Settings, folder: Path) -> Iterator[None]:
    """Starts Ray, and stops every process of it at the end, whatever happened.

    Must be entered before anything imports Ray.

    Args:
        settings: The installation's settings.
        folder: Of Ray's session, logs included.

    Raises:
        PlumblineError: Ray does not start.
    """
    os.environ.update(_SWITCHES)
    os.environ.pop("RAY_ADDRESS", None)  # the user's own cluster is none of our business
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        _start(settings, folder)
        yield
    finally:
        _stop()


def _start(settings: Settings, folder: Path) -> None:
    """Starts Ray, at the third try at the latest: of its processes it waits for some no longer than 30 seconds, and
    what has started once is in the disk's cache.
    """
    import ray
    from ray.job_config import JobConfig

    job = JobConfig()
    job._py_driver_sys_path = _NoFolders()
    for left in reversed(range(_TRIES)):
        try:
            with chosen_agent_ports(_LOOPBACK):
                ray.init(
                    address="local",
                    num_cpus=math.ceil(settings.serving.num_cpus),
                    num_gpus=math.ceil(settings.serving.num_gpus),
                    object_store_memory=settings.serving.object_store_mb * _MIB,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    namespace="plumbline",
                    _temp_dir=str(folder),
                    _node_ip_address=_LOOPBACK,
                    job_config=job,
                )
        except Exception as error:  # Ray raises a bare Exception, too
            if not left:
                raise PlumblineError(
                    f"Ray did not start in {_TRIES} tries: {error}. Its logs were in {folder}; check memory "
                    "and /dev/shm with `plumbline doctor`."
                ) from error
            _log.warning("Ray did not start (%s); trying again.", error)
            _stop()
        else:
            return


def lost_processes() -> list[str]:
    """Names of Ray's own processes that have ended. Without them no replica is brought back: whoever runs it ends."""
    return sorted(_OWN - {child.name() for child in psutil.Process().children() if _runs(child)})


def replica_work() -> float:
    """Processor seconds that the replicas have used so far, building themselves included."""
    children = psutil.Process().children(recursive=True)
    return processor_seconds(child for child in children if _named(child).startswith("ray::ServeReplica"))


def _named(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _stop() -> None:
    """Ray's own shutdown first; then whatever of it is still there (its agents outlive a lost raylet)."""
    import ray
    from ray import serve

    family = psutil.Process().children(recursive=True)
    if ray.is_initialized():
        with contextlib.suppress(Exception):
            serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
    family += psutil.Process().children(recursive=True)
    mine = [process for process in family if process.is_running() and _is_ray(process)]
    _, left = psutil.wait_procs(mine, timeout=_LEFTOVER_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(left, timeout=_LEFTOVER_SECONDS)


def _is_ray(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return command.startswith("ray::") or "/ray/" in command


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """A new folder under a short path; old ones are cleared away.

    The path of a socket in it may have 107 characters on Linux, 103 on macOS.
    The folder is locked while its process lives, so that one that a killed process left can be told.
    """
    root = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - short on purpose
    for old in root.glob(f"{_PREFIX}*"):
        _remove_if_orphaned(old)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    with exclusive(folder / _LOCK):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_orphaned(folder: Path) -> None:
    if not (folder / _LOCK).is_file():
        return  # being made at this moment
    with contextlib.suppress(OSError), try_exclusive(folder / _LOCK) as free:  # OSError: another user's
        if free:
            shutil.rmtree(folder, ignore_errors=True)
