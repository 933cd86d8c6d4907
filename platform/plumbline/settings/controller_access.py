"""Who may reach the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class ControllerAccessSettings(BaseModel):
    """Who may reach the controller: its webhook starts trainings. What is set here is asked of everybody."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    required: bool | None = None
    """Whether callers must show a token or a certificate; None is whenever the controller listens beyond loopback."""

    token_file: Path | None = None
    """File with the bearer token that callers show, 24 characters at least; several, one a line, while it is exchanged.
    Read again when it changes."""

    certificate_file: Path | None = None
    """The controller's certificate with its chain, PEM: it then speaks TLS only. Read again when it changes."""

    key_file: Path | None = None
    """Its private key, PEM."""

    client_ca_file: Path | None = None
    """CAs of the callers' certificates, PEM: callers must show one of theirs, except for /healthz and /metrics."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: give both, or neither")
        if self.client_ca_file is not None and self.certificate_file is None:
            raise ValueError("client_ca_file needs certificate_file and key_file: callers show certificates over TLS")
        if self.required is False and (self.token_file is not None or self.client_ca_file is not None):
            raise ValueError("required is false, and token_file or client_ca_file asks for something: unset either")
        return self
