"""Runs an image's command as a node would: user 10001, read-only root, no capabilities, scratch folders writable.

The image is taken from Buildah's storage; the container runtime that comes with it (runc) starts the
process from a specification written here. The network is the machine's own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

USER = 10001
HOME = "/var/lib/plumbline"
SHM_BYTES = 256 * 2**20


def runtime() -> str | None:
    """The container runtime, or None. crun refuses machines that mount both versions of control groups."""
    return shutil.which("runc")


def output(*line: str) -> str:
    """Standard output of a command that has to succeed."""
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Image:
    """An image in Buildah's storage, its files mounted on this machine."""

    reference: str
    root: Path
    config: dict[str, Any] = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """Environment that the image sets."""
        return dict(variable.split("=", 1) for variable in self.config["Env"])


@contextmanager
def opened(reference: str) -> Iterator[Image]:
    """Mounts an image for as long as it is used."""
    container = output("buildah", "from", "--pull-never", reference)
    try:
        inspected = json.loads(output("buildah", "inspect", "--type", "image", reference))
        yield Image(reference, Path(output("buildah", "mount", container)), inspected["OCIv1"]["config"])
    finally:
        output("buildah", "rm", container)


@dataclass(frozen=True)
class Container:
    """A started container: its process on this machine is `process`."""

    name: str
    process: subprocess.Popen[str]

    def memory(self) -> tuple[int, int]:
        """Resident and proportional bytes of all its processes."""
        resident = proportional = 0
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                info = process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            resident, proportional = resident + info.rss, proportional + info.pss
        return resident, proportional

    def stop(self, seconds: float = 60.0) -> int:
        """Sends SIGTERM to its first process, as a node does; kills it when it outlasts the grace period."""
        subprocess.run([str(runtime()), "kill", self.name, "TERM"], check=False, capture_output=True)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            subprocess.run([str(runtime()), "kill", self.name, "KILL"], check=False, capture_output=True)
            self.process.wait(10)
            raise


@contextmanager
def started(
    image: Image, bundle: Path, arguments: Sequence[str], *, binds: Mapping[str, Path], environment: Mapping[str, str]
) -> Iterator[Container]:
    """Starts a command in an image; what it says goes to `bundle/log`.

    Without a folder for Plumbline's home, it gets an empty one in the bundle.

    Args:
        image: The image.
        bundle: Empty folder for the specification and the log.
        arguments: The command line; none of the image's entry point is added.
        binds: Writable folders of this machine by the place they are mounted at.
        environment: Variables on top of the image's.
    """
    bundle.mkdir(parents=True)
    if HOME not in binds:
        binds = {**binds, HOME: bundle / "home"}
        binds[HOME].mkdir()
        binds[HOME].chmod(0o777)
    name = f"plumbline-{uuid.uuid4().hex[:12]}"
    specification = _specification(image, arguments, binds, {**image.environment, **environment})
    (bundle / "config.json").write_text(json.dumps(specification), encoding="utf-8")
    with (bundle / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(runtime()), "run", "--bundle", str(bundle), name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Container(name, process)
        finally:
            if process.poll() is None:
                subprocess.run([str(runtime()), "kill", name, "KILL"], check=False, capture_output=True)
                process.wait(10)
            subprocess.run([str(runtime()), "delete", "--force", name], check=False, capture_output=True)


def _specification(
    image: Image, arguments: Sequence[str], binds: Mapping[str, Path], environment: Mapping[str, str]
) -> dict[str, Any]:
    """An OCI runtime specification with what Pod Security `restricted` and a read-only root leave to a container."""
    scratch = ["nosuid", "nodev", "mode=1777"]
    mounts: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*scratch, f"size={SHM_BYTES}"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": scratch},
        {"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "ro"]},
    ]
    mounts += [
        {"destination": place, "type": "none", "source": str(folder), "options": ["bind", "rw"]}
        for place, folder in binds.items()
    ]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": USER, "gid": USER},
            "args": list(arguments),
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": image.config.get("WorkingDir") or "/",
            "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")},
            "noNewPrivileges": True,
        },
        "root": {"path": str(image.root), "readonly": True},
        "hostname": "plumbline",
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
    }
