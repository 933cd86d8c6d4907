"""Who may ask the serving endpoint, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Scope = Literal["classify", "models"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


class RateSettings(BaseModel):
    """A token bucket: so many requests per second in the long run, so many at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: float = Field(gt=0)
    """Postings per second; a batch counts each of its postings."""

    burst: int = Field(default=0, ge=0)
    """Postings at once; 0 is one second's worth."""


class ClientSettings(BaseModel):
    """What differs for one client from all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scopes: frozenset[Scope] | None = None
    """What its API key allows; None is everything. A token brings its own scopes."""

    rate: RateSettings | None = None
    """Its own limit, in place of `access.rate`."""


class TokenSettings(BaseModel):
    """JSON Web Tokens (RFC 7519) of an issuer. Only asymmetric signatures: the endpoint holds no signing secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    """Must be the token's `iss`."""

    audience: str
    """Must be in the token's `aud`."""

    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")
    """Signatures that are accepted."""

    jwks_file: Path | None = None
    """The issuer's keys (JWK set, RFC 7517) in a file; read again when it changes."""

    jwks_url: str | None = None
    """Where the issuer publishes them; fetched at the start and every `refresh_seconds`."""

    refresh_seconds: float = Field(default=300.0, gt=0)
    """How often the keys are fetched again."""

    leeway_seconds: float = Field(default=10.0, ge=0)
    """How far the issuer's clock may be off."""

    scope_prefix: str = "plumbline:"
    """What stands before our scopes in the token's `scope`: `plumbline:classify plumbline:models`."""

    @model_validator(mode="after")
    def _one_source(self) -> TokenSettings:
        if (self.jwks_file is None) == (self.jwks_url is None):
            raise ValueError("give jwks_file or jwks_url, one of the two")
        return self


class AccessSettings(BaseModel):
    """Who may ask the serving endpoint, and how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    required: bool | None = None
    """Whether a request needs a key or a token. None: yes, unless the endpoint listens on loopback only."""

    api_key: SecretStr | None = None
    """Key of the client `default`, from the environment. Our own commands present it, too."""

    keys_dir: Path | None = None
    """Folder with a file per client, named after it, that holds its key; a second line is a second valid key, so that
    keys can be changed without a gap. Read again when it changes, as a mounted Secret does."""

    tokens: TokenSettings | None = None
    """Accept tokens of this issuer."""

    rate: RateSettings | None = None
    """Limit of each client in each replica (without a key or a token: of each address); None is no limit."""

    clients: dict[str, ClientSettings] = Field(default_factory=dict)
    """What differs for single clients, by id: the file's name, or `token:` and the token's `sub`."""
