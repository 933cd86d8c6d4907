"""The controller's TLS: its certificate, and those of its callers."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from uvicorn.protocols.http.h11_impl import H11Protocol

from plumbline.controller.access import CERTIFICATE
from plumbline.errors import SettingsError
from plumbline.settings.controller_access import ControllerAccessSettings

_log = logging.getLogger(__name__)


class Protocol(H11Protocol):
    """Tells the application whether a connection showed a certificate; uvicorn itself does not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        # The context has verified it by then; without one it is empty.
        self.app_state = {**self.app_state, CERTIFICATE: bool(transport.get_extra_info("peercert"))}


class Certificates:
    """A TLS context whose certificate may be renewed while it is in use.

    A certificate is asked of every caller and demanded by `Guard`, path by path: probes have none.

    Args:
        settings: With a certificate.

    Raises:
        SettingsError: The files do not belong together, or hold no certificates.
    """

    def __init__(self, settings: ControllerAccessSettings) -> None:
        if settings.certificate_file is None or settings.key_file is None:
            raise SettingsError("TLS needs controller.access.certificate_file and key_file.")
        self._certificate, self._key, self._ca = settings.certificate_file, settings.key_file, settings.client_ca_file
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._stamp = self._stamped()
        try:
            self._load()
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(
                f"TLS cannot be set up with {self._certificate}, {self._key} and {self._ca or 'no client CA'}: "
                f"{error}. Give a certificate, its own key and the callers' CAs, all PEM."
            ) from error
        if self._ca is not None:
            self.context.verify_mode = ssl.CERT_OPTIONAL

    async def renew(self) -> None:
        """Reads the files again if they have changed; new connections then get the new certificate."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._load()
            self._stamp = stamp
            _log.warning("The certificate %s was read again.", self._certificate)
        except (ssl.SSLError, OSError) as error:
            _log.error("The certificate has changed and cannot be read; the old one stays: %s", error)

    def _load(self) -> None:
        self.context.load_cert_chain(self._certificate, self._key)
        if self._ca is not None:
            self.context.load_verify_locations(self._ca)

    def _stamped(self) -> list[tuple[int, int]]:
        files: list[Path] = [each for each in (self._certificate, self._key, self._ca) if each is not None]
        return [(found.st_ino, found.st_mtime_ns) for found in (file.stat() for file in files)]
