"""Runs the controller until it is told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from plumbline.controller.access import Guard, require_access
from plumbline.controller.app import create_app
from plumbline.controller.lock import only_one
from plumbline.controller.loop import Loop
from plumbline.controller.state import open_state
from plumbline.controller.tls import Certificates, Protocol
from plumbline.controller.trainer import Trainer, trainer_for
from plumbline.process.ports import require_free_port
from plumbline.settings import Settings

_DRAIN_SECONDS = 5
_RENEW_SECONDS = 30
_STOPS = (signal.SIGTERM, signal.SIGINT)


def serve(
    settings: Settings, *, port: int, trainer: Trainer | None = None, starting: Callable[[], None] = lambda: None
) -> None:
    """Listens for alerts until SIGTERM or SIGINT; then ends the training that runs, and returns.

    `starting` is called once nothing is in the way any more.

    Raises:
        SettingsError: Anybody who reaches it could start trainings, or its TLS cannot be set up.
        MissingInputError: A file that `controller.access` names is not there.
        PortBusyError: Another process listens on the port.
        UserError: Another controller works on the same state.
    """
    require_access(settings.controller)
    require_free_port(settings.controller.host, port, "--port or PLUMBLINE_CONTROLLER__PORT")
    tls = _tls(settings)
    with only_one(settings):
        starting()
        state = open_state(settings)
        loop = Loop(settings, state, trainer or trainer_for(settings))
        config = uvicorn.Config(
            Guard(create_app(settings, state, loop), settings.controller),
            host=settings.controller.host,
            port=port,
            http=Protocol,
            ws="none",
            log_level="warning",
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            **tls,
        )
        server = _Server(config, loop)
        # uvicorn takes the signals while it serves, and raises them again when it has ended: they must not end us
        # before the loop has ended.
        before = {number: signal.signal(number, server.handle_exit) for number in _STOPS}
        try:
            server.run()
        finally:
            loop.stop()  # a second Ctrl-C makes uvicorn leave without its application
            for number, handler in before.items():
                signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Tells the loop of a signal at once, before open requests are waited for."""

    def __init__(self, config: uvicorn.Config, loop: Loop) -> None:
        super().__init__(config)
        self._loop = loop
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server`."""
        if not self._told:
            # First: a second signal may come while this handler runs, and must not wait for what it holds.
            self._told = True
            self._loop.interrupt()
        super().handle_exit(sig, frame)


def _tls(settings: Settings) -> dict[str, Any]:
    access = settings.controller.access
    if access.certificate_file is None:
        return {}
    certificates = Certificates(access)
    return {
        "ssl_context_factory": lambda *_: certificates.context,
        "callback_notify": certificates.renew,
        "timeout_notify": _RENEW_SECONDS,
    }
