"""API keys: from a folder with a file per client, and from the environment.

Only digests stay in memory, and a key is looked up by its digest: comparing takes the same time however much of a key
was guessed right.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from pathlib import Path

from plumbline.errors import MissingInputError, SettingsError
from plumbline.settings.serving_access import AccessSettings

DEFAULT_CLIENT = "default"
_SHORTEST = 24
"""Characters. 128 bits in base64 take 22: anything shorter can be tried out."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOK_SECONDS = 2.0
_log = logging.getLogger(__name__)


class ApiKeys:
    """The keys that are valid now.

    Args:
        settings: Names the folder, or holds the one key.

    Raises:
        MissingInputError: The folder is not there.
        SettingsError: A key is too short, belongs to two clients, or a file's name is no client id.
    """

    def __init__(self, settings: AccessSettings) -> None:
        self._folder = settings.keys_dir
        self._fixed = settings.api_key.get_secret_value() if settings.api_key is not None else None
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = self._stamp()
        self._looked = time.monotonic()
        self._clients = self._read()

    def __len__(self) -> int:
        return len(self._clients)

    def client_of(self, key: bytes) -> str | None:
        """Id of the client that the key belongs to; None if it is nobody's."""
        if self._folder is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look_again()
        return self._clients.get(hashlib.sha256(key).digest())

    def _look_again(self) -> None:
        """A few system calls every other second; a folder that is half written keeps the old keys valid."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = time.monotonic()
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self._clients = self._read()
            self._seen = stamp
            _log.warning("API keys were read again: %d keys.", len(self._clients))
        except (SettingsError, MissingInputError, OSError) as error:
            _log.error("The API keys have changed and cannot be read, the old ones stay: %s", error)
        finally:
            self._lock.release()

    def _stamp(self) -> tuple[object, ...]:
        if self._folder is None or not self._folder.is_dir():
            return ()
        # A mounted Secret changes by a link that is swapped: names and times of what the links point to.
        return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in _key_files(self._folder))

    def _read(self) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        if self._fixed is not None:
            _add(found, DEFAULT_CLIENT, self._fixed, "serving.access.api_key")
        if self._folder is None:
            return found
        if not self._folder.is_dir():
            raise MissingInputError(
                f"serving.access.keys_dir names {self._folder}, which is not a folder. Make it, with a file per client "
                "that holds the client's key, or unset it."
            )
        for path in _key_files(self._folder):
            if not _CLIENT_ID.fullmatch(path.name):
                raise SettingsError(f"{path} is not named after a client: use letters, digits, '.', '_' and '-'.")
            for line in path.read_text(encoding="utf-8").split():
                _add(found, path.name, line, str(path))
        return found


def own_key(settings: AccessSettings) -> str | None:
    """The key that our own commands present: the environment's, else the folder's for the client `default`."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    if settings.keys_dir is not None and (path := settings.keys_dir / DEFAULT_CLIENT).is_file():
        lines = path.read_text(encoding="utf-8").split()
        return lines[0] if lines else None
    return None


def _key_files(folder: Path) -> list[Path]:
    """Hidden entries are how Kubernetes mounts a Secret, not clients."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _add(found: dict[bytes, str], client: str, key: str, where: str) -> None:
    if len(key) < _SHORTEST:
        raise SettingsError(
            f"The key of client {client} in {where} has {len(key)} characters: give at least {_SHORTEST} random ones, "
            "for one from `openssl rand -base64 32`."
        )
    digest = hashlib.sha256(key.encode()).digest()
    if found.get(digest, client) != client:
        raise SettingsError(f"The clients {found[digest]} and {client} have the same key. Give each its own.")
    found[digest] = client
