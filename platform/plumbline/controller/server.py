"""Runs the controller until it is told to stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plumbline import paths
from plumbline.controller.loop import Loop
from plumbline.controller.state import ControllerState
from plumbline.controller.trainer import Trainer, trainer_for
from plumbline.errors import UserError
from plumbline.locks import try_exclusive
from plumbline.process.ports import require_free_port
from plumbline.settings import Settings

_DRAIN_SECONDS = 5


def open_state(settings: Settings) -> ControllerState:
    """The controller's database."""
    return ControllerState(paths.controller_dir(settings) / "state.sqlite")


def serve(settings: Settings, *, port: int, trainer: Trainer | None = None) -> None:
    """Listens for alerts until SIGTERM or SIGINT; then ends the training that runs, and returns.

    Raises:
        PortBusyError: Another process listens on the port.
        UserError: Another controller works on the same state.
    """
    import uvicorn

    from plumbline.controller.app import create_app

    host = settings.controller.host
    require_free_port(host, port, "PLUMBLINE_CONTROLLER__PORT")
    with _only_one(settings):
        state = open_state(settings)
        loop = Loop(settings, state, trainer or trainer_for(settings))
        config = uvicorn.Config(
            create_app(settings, state, loop),
            host=host,
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        uvicorn.Server(config).run()


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Two controllers on one state would both train. The kernel drops the lock however this process ends."""
    folder = paths.controller_dir(settings)
    with try_exclusive(folder / "controller.lock") as held:
        if not held:
            raise UserError(f"Another controller works on {folder}. Stop it, or give this one another PLUMBLINE_HOME.")
        yield
