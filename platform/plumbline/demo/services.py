"""The endpoint and the controller of a demo, as it asks them."""

from __future__ import annotations

from typing import Any

import httpx

from plumbline.demo.commands import Commands, Service
from plumbline.demo.progress import Progress
from plumbline.demo.timeline import Timeline
from plumbline.errors import PlumblineError
from plumbline.settings import Settings

_ANSWER_SECONDS = 10.0
_DECIDED = frozenset({"promoted", "rejected", "rolled_back", "awaiting_approval"})
_BROKEN = frozenset({"failed", "cancelled"})


class Services:
    """Starts them when they are needed first, so that a run that goes on in the middle has them, too."""

    def __init__(self, settings: Settings, commands: Commands) -> None:
        self._settings = settings
        self._commands = commands
        self._running: dict[str, Service] = {}

    @property
    def serving_url(self) -> str:
        """Address of the endpoint."""
        return f"http://{self._settings.serving.host}:{self._settings.serving.port}"

    @property
    def controller_url(self) -> str:
        """Address of the controller."""
        return f"http://{self._settings.controller.host}:{self._settings.controller.port}"

    def start(self, timeline: Timeline, progress: Progress) -> None:
        """Starts both and waits until they answer; does nothing where they run."""
        if self._running:
            return
        # Nobody asks over gRPC here, and its port may belong to another endpoint of this machine.
        serve = self._commands.service("serve", "run", settings_variables={"PLUMBLINE_SERVING__GRPC_PORT": "0"})
        controller = self._commands.service(
            "controller", "run",
            settings_variables={"PLUMBLINE_CONTROLLER__LABEL_WAIT_DAYS": str(timeline.label_wait.days)},
        )  # fmt: skip
        self._running = {"serve": serve, "controller": controller}
        with progress.step("Start Ray Serve and the controller", inside=serve.last_line) as step:
            controller.wait_ready(f"{self.controller_url}/healthz")
            serve.wait_ready(f"{self.serving_url}/readyz")
            step.result(f"{self.serving_url} serves version {self.served_version()}")

    def stop(self) -> None:
        """Stops both in order; all are asked before the first failure is raised."""
        failures = []
        for service in self._running.values():
            try:
                service.stop()
            except PlumblineError as error:
                failures.append(error)
        self._running = {}
        if failures:
            raise failures[0]

    def served_version(self) -> str:
        """Version that the endpoint answers with now."""
        return self._running["serve"].wait_for(self._served, "the endpoint's answer")

    def wait_for_version(self, version: str) -> None:
        """Waits until the endpoint answers with a version.

        Raises:
            PlumblineError: The endpoint ended, or does not get on.
        """
        self._running["serve"].wait_for(
            lambda: True if self._served() == version else None, f"version {version} behind the endpoint"
        )

    def wait_for_retraining(self) -> dict[str, Any]:
        """The controller's latest retraining, once it is decided.

        Raises:
            PlumblineError: It failed, or the controller ended or does not get on.
        """
        return self._running["controller"].wait_for(self._decided, "the end of the retraining")

    def latest_retraining(self) -> dict[str, Any] | None:
        """The controller's latest retraining as it stands; None before there is one."""
        retrainings: list[dict[str, Any]] = self._get(f"{self.controller_url}/status")["retrainings"]
        return retrainings[-1] if retrainings else None

    def retraining_step(self) -> str:
        """What the controller does now, for a person to read."""
        try:
            retraining = self.latest_retraining()
        except httpx.HTTPError:
            return ""
        return "" if retraining is None else f"{retraining['state']}: {retraining['step']}"

    def _decided(self) -> dict[str, Any] | None:
        retraining = self.latest_retraining()
        if retraining is None:
            return None
        if retraining["state"] in _BROKEN:
            how = "failed" if retraining["state"] == "failed" else "was cancelled"
            raise PlumblineError(f"Retraining {retraining['id']} {how}: {retraining['error']}")
        return retraining if retraining["state"] in _DECIDED else None

    def _served(self) -> str:
        return str(self._get(f"{self.serving_url}/v1/models")["models"][0]["version"])

    @staticmethod
    def _get(url: str) -> dict[str, Any]:
        answer = httpx.get(url, timeout=_ANSWER_SECONDS)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content
