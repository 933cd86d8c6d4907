"""Bearer tokens: JSON Web Tokens of one issuer (RFC 7519, RFC 8725), verified with its published keys."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from plumbline.errors import DependencyError, IntegrityError, MissingInputError
from plumbline.settings.serving_access import Scope, TokenSettings
from serving.access.client import ALL_SCOPES

_REMEMBERED = 4096
_FETCH_SECONDS = 10.0
_LONGEST = 8192
_LONGEST_SUBJECT = 128
_log = logging.getLogger(__name__)


class InvalidTokenError(Exception):
    """A token that is not accepted; the text says why, and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says of its bearer."""

    subject: str
    scopes: frozenset[Scope]
    expires: float
    """Seconds since 1970."""


def _short(subject: str) -> str:
    """The subject, or where it is too long for the log its beginning and a hash that tells it from others."""
    if len(subject) <= _LONGEST_SUBJECT:
        return subject
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{subject[: _LONGEST_SUBJECT - len(digest) - 1]}~{digest}"


class Tokens:
    """Verifies tokens. A verified one is remembered until it expires: a signature costs as much as a prediction.

    Args:
        settings: The issuer.

    Raises:
        MissingInputError: The file of its keys is not there.
        DependencyError: Its keys cannot be fetched.
        IntegrityError: What was found is not a JWK set.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._keys = self._load()
        self._changed = self._stamp()
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="token-keys", daemon=True)
        self._thread.start()

    def verify(self, token: str) -> Verified:
        """Who bears the token.

        Raises:
            InvalidTokenError: Signature, issuer, audience or time are wrong, or its key is unknown.
        """
        if len(token) > _LONGEST:
            raise InvalidTokenError(f"the token is longer than {_LONGEST} characters")
        digest = hashlib.sha256(token.encode()).digest()
        remembered = self._verified
        known = remembered.get(digest)
        if known is not None and known.expires + self._settings.leeway_seconds > time.time():
            return known
        verified = self._verify(token)
        remembered[digest] = verified
        if len(remembered) > _REMEMBERED:
            remembered.popitem(last=False)
        return verified

    def close(self) -> None:
        """Stops following the issuer's keys."""
        self._stop.set()
        self._thread.join()

    def _verify(self, token: str) -> Verified:
        settings = self._settings
        try:
            key = self._key_of(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(settings.algorithms),
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=settings.leeway_seconds,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            expires = float(claims["exp"])
        except jwt.PyJWTError as error:
            raise InvalidTokenError(str(error)) from error
        except (OverflowError, ValueError, TypeError) as error:
            raise InvalidTokenError("its times are no times") from error
        granted = str(claims.get("scope", "")).split()
        scopes = frozenset(scope for scope in ALL_SCOPES if f"{settings.scope_prefix}{scope}" in granted)
        return Verified(_short(str(claims["sub"])), scopes, expires)

    def _key_of(self, token: str) -> jwt.PyJWK:
        wanted = jwt.get_unverified_header(token).get("kid")
        for key in self._keys:
            if key.key_id == wanted:
                return key
        if wanted is None and len(self._keys) == 1:
            return self._keys[0]
        raise InvalidTokenError("the issuer has no key of the token's `kid`")

    def _follow(self) -> None:
        """Keys change by a new file, or at the issuer. What cannot be read keeps the old ones valid."""
        every = self._settings.refresh_seconds if self._settings.jwks_url else min(2.0, self._settings.refresh_seconds)
        while not self._stop.wait(every):
            try:
                stamp = self._stamp()
                if self._settings.jwks_url or stamp != self._changed:
                    self._keys, self._changed = self._load(), stamp
                    self._verified = OrderedDict()  # what a withdrawn key has signed is verified anew, and refused
            except (MissingInputError, DependencyError, IntegrityError, OSError) as error:
                _log.error("The issuer's keys could not be read again, the old ones stay: %s", error)

    def _stamp(self) -> int:
        file = self._settings.jwks_file
        return file.stat().st_mtime_ns if file is not None and file.is_file() else 0

    def _load(self) -> list[jwt.PyJWK]:
        text = self._text()
        try:
            found = jwt.PyJWKSet.from_json(text).keys
        except (jwt.PyJWTError, ValueError, KeyError, AttributeError) as error:
            raise IntegrityError(
                f"The issuer's keys are not a JWK set ({error}). Correct serving.access.tokens."
            ) from error
        return [key for key in found if key.public_key_use in (None, "sig")]

    def _text(self) -> str:
        settings = self._settings
        if settings.jwks_file is not None:
            if not settings.jwks_file.is_file():
                raise MissingInputError(
                    f"serving.access.tokens.jwks_file names {settings.jwks_file}: no such file. Correct the path."
                )
            return settings.jwks_file.read_text(encoding="utf-8")
        assert settings.jwks_url is not None
        try:
            answer = httpx.get(settings.jwks_url, timeout=_FETCH_SECONDS, follow_redirects=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise DependencyError(
                f"The issuer's keys cannot be fetched from {settings.jwks_url} ({error}). Check serving.access.tokens."
            ) from error
        return answer.text
