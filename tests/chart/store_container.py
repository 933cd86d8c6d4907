"""Runs a rendered container's command on this machine: as an ordinary user, $(NAME) expanded as Kubernetes does."""

from __future__ import annotations

import base64
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from helm_engine import Render

Finished = subprocess.CompletedProcess[str]

_USER = "nobody"
"""Who runs it where the tests run as root; initdb asks for a user with a name, and refuses root."""


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that the container's user may write."""
    path = Path(tempfile.mkdtemp(prefix="plumbline-store-"))
    if os.getuid() == 0:
        shutil.chown(path, _USER)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Container:
    """One container of a rendering.

    Args:
        rendered: Where its Secrets are.
        spec: The container.
        changes: Variables that differ on this machine: ports, folders.
        paths: Folders of the container, and what stands for them here.
    """

    def __init__(
        self,
        rendered: Render,
        spec: dict[str, Any],
        changes: Mapping[str, str],
        paths: Mapping[str, Path] | None = None,
    ) -> None:
        self._paths = dict(paths or {})
        self._spec = spec
        secrets = {item["metadata"]["name"]: item.get("data", {}) for item in rendered.of_kind("Secret")}
        self.environment: dict[str, str] = {}
        for entry in spec["env"]:
            value = entry.get("value")
            if value is None:
                reference = entry["valueFrom"]["secretKeyRef"]
                value = base64.b64decode(secrets[reference["name"]][reference["key"]]).decode()
            self.environment[entry["name"]] = changes.get(entry["name"], self._expanded(value))

    def run(self) -> Finished:
        """Runs the command to its end."""
        return self._run([*self._spec["command"], *self._spec.get("args", [])])

    def ask(self, probe: str, **changes: str) -> bool:
        """Whether a probe's command succeeds."""
        return self._run(self._spec[probe]["exec"]["command"], changes).returncode == 0

    def pre_stop(self) -> subprocess.Popen[str]:
        """Starts the hook before the stop."""
        return self._start(self._spec["lifecycle"]["preStop"]["exec"]["command"])

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Runs the command until the block ends; waits for its readiness probe first."""
        process = self._start([*self._spec["command"], *self._spec.get("args", [])])
        try:
            deadline = time.monotonic() + 60
            while not self.ask("readinessProbe"):
                assert process.poll() is None, f"it ended with {process.returncode}"
                assert time.monotonic() < deadline, "it did not become ready"
                time.sleep(0.1)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$\((\w+)\)", lambda match: self.environment.get(match[1], match[0]), text)

    def _words(self, command: Sequence[str]) -> list[str]:
        words = [self._expanded(word) for word in command]
        for inside, here in self._paths.items():
            words = [word.replace(inside, str(here)) for word in words]
        return words

    def _options(self, changes: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
        environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LC_ALL": "C", **self.environment, **changes}
        options: dict[str, Any] = {"env": environment, "cwd": "/", "text": True}
        if os.getuid() == 0:
            entry = pwd.getpwnam(_USER)
            options |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return options

    def _run(self, command: Sequence[str], changes: Mapping[str, str] = MappingProxyType({})) -> Finished:
        return subprocess.run(
            self._words(command), capture_output=True, timeout=120, check=False, **self._options(changes)
        )

    def _start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._words(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._options()
        )
