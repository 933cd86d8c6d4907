"""Runs the endpoint in the foreground until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx

from plumbline.errors import MissingInputError, PlumblineError, PortBusyError
from plumbline.process.marks import RUN_VARIABLE
from plumbline.process.patience import Patience
from plumbline.process.ports import require_free_port
from plumbline.process.watchdog import Watchdog
from plumbline.settings import Settings
from serving.access.guard import Guard
from serving.oip.grpc_server import require_port
from serving.prediction_log.shipper import ship_or_warn
from serving.ray_cluster import lost_processes, private_ray, replica_work, session_folder
from serving.telemetry.logs import LogRelay

_PORT_PATIENCE_SECONDS = 3.0
_PORT_SETTING = "--port or PLUMBLINE_SERVING__PORT"
_RELAY = "log.socket"
_log = logging.getLogger(__name__)

Step = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Ready:
    """What serves where."""

    url: str
    name: str
    version: str
    alias: str
    seconds: float
    pid: int


class _Stopped(BaseException):
    """A signal asked us to stop. Like KeyboardInterrupt it passes every `except Exception` on its way."""


def run(settings: Settings, on_ready: Callable[[Ready], None], *, step: Step) -> None:
    """Serves until SIGTERM or SIGINT; leaves no process behind, and every prediction in the object store.

    Args:
        settings: The installation's settings.
        on_ready: Told once the endpoint has made a real prediction.
        step: Shows a step's name and time.

    Raises:
        PortBusyError: A port is taken. Nothing was started.
        SettingsError: Nobody could ask the endpoint, a key cannot be used, or a model's class cannot be imported.
            Nothing was started.
        IntegrityError: A model's files are not what was registered. Nothing was started.
        MissingInputError: No model has the alias, or features are not applied. Nothing was started.
        PlumblineError: Ray or the replica does not start, or the endpoint is lost.
    """
    start = time.monotonic()
    with _signals():
        try:
            _forget_drain(settings)
            _require_port(settings)
            require_port(settings.serving)
            Guard(settings.serving).close()  # keys that cannot be used are told before anything starts
            with step("Look at the model"):
                version = _require_models(settings)
            with (
                _shipped_at_the_end(settings),
                _reaper(),
                session_folder() as folder,
                # Open for longer than Ray: the replica's last words are those about its end.
                contextlib.closing(LogRelay(folder / _RELAY)),
                contextlib.ExitStack() as running,
            ):
                with step("Start Ray"):
                    running.enter_context(private_ray(settings, folder))
                _arm()  # Ray installs a handler of its own when it starts
                with step(f"Start the replica: load version {version}, warm it up"):
                    _deploy(settings, folder / _RELAY)
                url = address_of(settings)
                with step("Wait for its first prediction"):
                    _wait_until_ready(settings, url, folder)
                seconds = time.monotonic() - start
                name, alias = settings.tracking.model_name, settings.serving.model_alias
                on_ready(Ready(url, name, version, alias, seconds, os.getpid()))
                _attend(settings, url)
        except _Stopped:
            _log.info("Stopped by a signal.")


def address_of(settings: Settings) -> str:
    """Where this machine reaches the endpoint: an address that stands for all of its own is listened on, not called."""
    host = settings.serving.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.serving.port}"


def _forget_drain(settings: Settings) -> None:
    """A container that was restarted in its pod finds the file of its predecessor's end, and would never be ready."""
    if settings.serving.drain_file is not None:
        settings.serving.drain_file.unlink(missing_ok=True)


def _require_port(settings: Settings) -> None:
    """An endpoint that was killed a moment ago still holds the port for a second or two."""
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    while True:
        try:
            require_free_port(settings.serving.host, settings.serving.port, _PORT_SETTING)
        except PortBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _require_models(settings: Settings) -> str:
    """The default model's version, once every served model is known to be there, covered, whole, and of a class that
    is."""
    from plumbline.model.importable import require_importable
    from serving.engine.assembly import served_models
    from serving.engine.registry_source import RegistryModels

    versions = []
    for name, model in served_models(settings).items():
        models = RegistryModels(settings, name)
        version = models.version()
        if version is None:
            raise MissingInputError(
                f"No version of {name} has the alias {model.alias}: there is nothing to serve. Train one "
                "with `plumbline pipeline run training`, or promote one with `plumbline models promote VERSION "
                "--reason ...`."
            )
        uncovered = models.uncovered_because(version)
        if uncovered is not None and settings.serving.follow == "covered":
            raise MissingInputError(f"{uncovered} Until then nothing is served (`serving.follow`).")
        require_importable(models.registry.fetch(version).path)
        versions.append(version)
    return versions[0]


def _deploy(settings: Settings, relay: Path) -> None:
    from ray import serve

    from serving.deployment import APPLICATION, application, quiet_logs

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    # The replica listens itself: no proxy is started.
    serve.start(proxy_location="Disabled", logging_config=quiet_logs())
    try:
        serve.run(application(settings, relay), name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        raise PlumblineError(f"The replica did not start: {_replica_message() or error}") from error


def _replica_message() -> str:
    """The replica's own last words, without the traceback above them."""
    from ray import serve

    from serving.deployment import APPLICATION

    application = serve.status().applications.get(APPLICATION)
    if application is None:
        return ""
    texts = [deployment.message for deployment in application.deployments.values() if deployment.message]
    lines = [line.strip() for text in texts for line in text.splitlines() if "Error" in line and ": " in line]
    return lines[-1] if lines else ""


def _wait_until_ready(settings: Settings, url: str, folder: Path) -> None:
    reason = "it does not answer"
    patience = Patience(settings.serving.start_patience_seconds, work=replica_work, sign=lambda: reason)
    while not patience.lost():
        with contextlib.suppress(httpx.TransportError):
            response = httpx.get(f"{url}/readyz", timeout=10.0)
            if response.status_code == httpx.codes.OK:
                return
            reason = response.text
        time.sleep(0.1)
    raise PlumblineError(f"The endpoint at {url} is not ready: {reason}. Ray's logs are in {folder} until this ends.")


def _attend(settings: Settings, url: str) -> None:
    """Ships the log and sees that the endpoint is alive, until a signal comes. Ray restarts a lost replica."""
    last_alive = time.monotonic()
    # A new replica is given as long as the first one was.
    patience = Patience(settings.serving.start_patience_seconds, work=replica_work, sign=lambda: last_alive)
    while True:
        time.sleep(settings.serving.log.ship_seconds)
        ship_or_warn(settings)
        if lost := lost_processes():
            raise PlumblineError(
                f"Ray's {' and '.join(lost)} ended, so that the endpoint cannot go on. Start it again."
            )
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/healthz", timeout=settings.serving.log.ship_seconds)
            last_alive = time.monotonic()
        if patience.lost():
            silent = time.monotonic() - last_alive
            raise PlumblineError(f"The endpoint at {url} has not answered for {silent:.0f} s: no replica came up.")


@contextlib.contextmanager
def _shipped_at_the_end(settings: Settings) -> Iterator[None]:
    try:
        yield
    finally:
        ship_or_warn(settings)


@contextlib.contextmanager
def _reaper() -> Iterator[None]:
    """Ends Ray's processes even if this one is killed: by the run's watchdog if there is one, else by our own."""
    if RUN_VARIABLE in os.environ:
        yield
        return
    run_id = secrets.token_hex(8)
    os.environ[RUN_VARIABLE] = run_id
    try:
        with Watchdog(run_id):
            yield
    finally:
        del os.environ[RUN_VARIABLE]


def _raise_stopped(_number: int, _frame: FrameType | None) -> None:
    _disarm()
    raise _Stopped


def _arm() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _raise_stopped)


def _disarm() -> None:
    """Once stopping has begun, further signals do not interrupt it: it ends by itself within seconds."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    _arm()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
