"""The one place that lets a request in: who asks, for what, how often. HTTP and gRPC both ask it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from plumbline.errors import SettingsError
from plumbline.process.ports import is_loopback
from plumbline.settings.serving import ServingSettings
from plumbline.settings.serving_access import Scope
from serving.access.client import ALL_SCOPES, ANONYMOUS, Client
from serving.access.keys import ApiKeys
from serving.access.rates import Rates
from serving.access.tokens import InvalidTokenError, Tokens
from serving.errors import RequestRefusedError

_BEARER = b"bearer "
_TOKEN_PARTS = 3


class Guard:
    """Lets requests in, or refuses them. Used on one event loop; about 2 µs for a key.

    Args:
        settings: Where the endpoint listens, and its access settings.

    Raises:
        SettingsError: The endpoint listens beyond loopback and nobody could ask it, or a key cannot be used.
        MissingInputError: A file or folder that the settings name is not there.
        DependencyError: The issuer's keys cannot be fetched.
    """

    def __init__(self, settings: ServingSettings) -> None:
        access = settings.access
        self._keys = ApiKeys(access)
        self.required = access.required if access.required is not None else not is_loopback(settings.host)
        if self.required and access.tokens is None and not len(self._keys):
            raise SettingsError(
                f"The endpoint listens on {settings.host} and nobody could ask it: there are no keys. Put them into "
                "serving.access.keys_dir or PLUMBLINE_SERVING__ACCESS__API_KEY, or accept tokens "
                "(serving.access.tokens), or set serving.access.required to false to let everybody in."
            )
        self._tokens = None if access.tokens is None else Tokens(access.tokens)
        self._clients = access.clients
        self._rates = Rates(access)

    def admit(self, headers: Mapping[bytes, bytes], scope: Scope, *, peer: str = "", postings: int = 1) -> Client:
        """Lets a request in.

        Args:
            headers: By lower-case name; of gRPC, its metadata.
            scope: What the request needs.
            peer: Address of the client, whose rate counts where there is neither key nor token.
            postings: What it counts for the client's rate; 0 where that is not known yet (see `charge`).

        Raises:
            RequestRefusedError: 401 without a valid key or token, 403 without the scope, 429 above the rate.
        """
        client = self._client(headers, peer)
        if scope not in client.scopes:
            raise RequestRefusedError(
                403, "forbidden", f"The client {client.id} has no scope {scope}. Ask for a key or token that has it."
            )
        if postings:
            self.charge(client, postings)
        return client

    def charge(self, client: Client, postings: int) -> None:
        """Counts postings against the client's rate.

        Raises:
            RequestRefusedError: 429, with the seconds after which a retry makes sense.
        """
        if not self._rates.limited:
            return
        wait = self._rates.take(client.bucket, postings)
        if wait > 0:
            raise RequestRefusedError(
                429,
                "rate-limited",
                f"The client {client.id} sends more than its rate allows. Send less, or retry after {wait:.1f} s.",
                retry_after=max(1, math.ceil(wait)),
            )

    def close(self) -> None:
        """Lets go of what follows the issuer's keys."""
        if self._tokens is not None:
            self._tokens.close()

    def _client(self, headers: Mapping[bytes, bytes], peer: str) -> Client:
        presented = headers.get(b"x-api-key")
        if presented is None:
            authorization = headers.get(b"authorization")
            if authorization is not None:
                if authorization[: len(_BEARER)].lower() != _BEARER:
                    raise _unauthenticated("The Authorization header is not `Bearer` with a key or token.")
                presented = authorization[len(_BEARER) :].strip()
        if presented is None:
            if self.required:
                raise _unauthenticated("Send an API key (`Authorization: Bearer KEY` or `X-API-Key`) or a token.")
            return Client(ANONYMOUS, ALL_SCOPES, f"@{peer}")
        name = self._keys.client_of(presented)
        if name is not None:
            own = self._clients.get(name)
            return Client(name, ALL_SCOPES if own is None or own.scopes is None else own.scopes, name)
        if self._tokens is not None and presented.count(b".") == _TOKEN_PARTS - 1:
            try:
                verified = self._tokens.verify(presented.decode("ascii", "replace"))
            except InvalidTokenError as error:
                raise _unauthenticated(f"The token is not accepted: {error}.") from error
            name = f"token:{verified.subject}"  # never the name of a key's client
            return Client(name, verified.scopes, name)
        # A wrong key is refused even where none is needed: its bearer believes to be somebody.
        raise _unauthenticated("The API key is not known.")


def _unauthenticated(detail: str) -> RequestRefusedError:
    return RequestRefusedError(401, "unauthenticated", detail)
