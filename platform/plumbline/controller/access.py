"""Lets requests in: a bearer token, a client certificate, or both, whatever is configured."""

from __future__ import annotations

import hashlib
import hmac
import logging
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from plumbline.controller.problem import ProblemError
from plumbline.errors import MissingInputError, SettingsError
from plumbline.process.ports import is_loopback
from plumbline.settings.controller import ControllerSettings

OPEN_PATHS = frozenset({"/healthz", "/metrics"})
"""Without a token: what probes and Prometheus ask. They tell whether it works, and counts; nothing of an alert."""

CERTIFICATE = "client_certificate"
"""Key of the request's state: whether its connection showed a certificate of the client CA."""

_SHORTEST = 24
"""Characters. 128 bits in base64 take 22: anything shorter can be tried out."""

_SCHEME = b"bearer "
_CHALLENGE = 'Bearer realm="plumbline-controller"'
_log = logging.getLogger(__name__)


def require_access(settings: ControllerSettings) -> None:
    """Refuses to listen where anybody who reaches the controller could start trainings.

    Raises:
        SettingsError: It would listen beyond loopback, or `access.required` is set, and it would ask for nothing.
        MissingInputError: A file that the settings name is not there.
    """
    access = settings.access
    for path in (access.certificate_file, access.key_file, access.client_ca_file):
        if path is not None and not path.is_file():
            raise MissingInputError(f"controller.access names {path}, which is not there. Correct the path.")
    if access.token_file is not None:
        BearerTokens(access.token_file)
        return
    required = access.required if access.required is not None else not is_loopback(settings.host)
    if required and access.client_ca_file is None:
        raise SettingsError(
            f"The controller listens on {settings.host}, and anybody who reaches it could start trainings. Give it a "
            "token (controller.access.token_file) or certificates (certificate_file, key_file and client_ca_file), or "
            "set controller.access.required to false to let everybody in."
        )


class Guard:
    """The application behind what the settings ask for.

    Args:
        app: The application.
        settings: The controller's.

    Raises:
        SettingsError: A token cannot be used.
        MissingInputError: The file with the tokens is not there.
    """

    def __init__(self, app: ASGIApp, settings: ControllerSettings) -> None:
        access = settings.access
        self._app = app
        self._tokens = None if access.token_file is None else BearerTokens(access.token_file)
        self._certificate = access.client_ca_file is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that may not be let in, before its body is read."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refused = self._refusal(scope)
            if refused is not None:
                await refused.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        if self._certificate and not scope.get("state", {}).get(CERTIFICATE):
            return ProblemError(
                403,
                "No certificate",
                "Show a client certificate of the CA that controller.access.client_ca_file names.",
            )
        if self._tokens is None:
            return None
        shown = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if shown is None:
            return _unauthenticated("Send `Authorization: Bearer TOKEN`.", _CHALLENGE)
        if shown[: len(_SCHEME)].lower() != _SCHEME or not self._tokens.accept(shown[len(_SCHEME) :].strip()):
            # RFC 6750, 3.1
            return _unauthenticated(
                "The token is not the controller's: compare the sender's file with controller.access.token_file.",
                f'{_CHALLENGE}, error="invalid_token"',
            )
        return None


class BearerTokens:
    """The tokens of a file, one a line; digests of them, compared in constant time.

    Raises:
        MissingInputError: The file is not there.
        SettingsError: It holds none, or one that is too short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._stamped()
        self._digests = _read(path)

    def accept(self, token: bytes) -> bool:
        """Whether the token is one of them now."""
        self._look_again()
        digest = hashlib.sha256(token).digest()
        # All of them, to take the same time whichever it is.
        return sum(hmac.compare_digest(digest, each) for each in self._digests) > 0

    def _look_again(self) -> None:
        """A file that is away or half written keeps the old tokens valid."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._digests = _read(self._path)
        except (MissingInputError, SettingsError) as error:
            _log.error("The tokens have changed and cannot be read; the old ones stay: %s", error)

    def _stamped(self) -> tuple[int, int, int]:
        # Of the file that a mounted Secret's link leads to: Kubernetes swaps the link.
        try:
            found = self._path.stat()
        except OSError as error:
            raise _missing(self._path, error) from error
        return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> list[bytes]:
    try:
        tokens = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise _missing(path, error) from error
    if not tokens or min(map(len, tokens)) < _SHORTEST:
        raise SettingsError(
            f"{path} must hold a token of at least {_SHORTEST} characters, for one from `openssl rand -base64 32`."
        )
    return [hashlib.sha256(token.encode()).digest() for token in tokens]


def _missing(path: Path, error: Exception) -> MissingInputError:
    return MissingInputError(
        f"controller.access.token_file names {path}, which cannot be read ({error}). Write a token there, for one from "
        "`openssl rand -base64 32`, or unset it."
    )


def _unauthenticated(detail: str, challenge: str) -> ProblemError:
    return ProblemError(401, "Not authenticated", detail, {"WWW-Authenticate": challenge})
