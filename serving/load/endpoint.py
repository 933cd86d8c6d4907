"""Which route of the endpoint is asked, and with which headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import httpx

from plumbline.errors import DependencyError, MissingInputError, UserError
from plumbline.settings import Settings
from serving.address import split_address

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def classify_path(model: str | None, *, batch: bool) -> str:
    """Route of the default model, or of another one by its name.

    Raises:
        UserError: The name cannot be one.
    """
    if model is not None and not _MODEL_NAME.fullmatch(model):
        raise UserError(f"{model!r} is not the name of a model: letters, digits, dots, dashes and underscores.")
    route = "/v1/classify" if model is None else f"/v1/models/{model}/classify"
    return f"{route}:batch" if batch else route


def request_headers(settings: Settings, given: Sequence[str], api_key_file: Path | None) -> dict[str, str]:
    """Headers of each request, the API key among them.

    Args:
        settings: Hold the key (`serving.access.api_key`) where no file is given.
        given: `Name: value` each.
        api_key_file: Its first line is the key.

    Raises:
        MissingInputError: The file is not there.
        UserError: The file is empty, or a header has no name.
    """
    headers = dict(_split(line) for line in given)
    if api_key_file is not None:
        key = _key_in(api_key_file)
    elif settings.serving.access.api_key is not None:
        key = settings.serving.access.api_key.get_secret_value()
    else:
        return headers
    if any(name.lower() == "authorization" for name in headers):
        raise UserError("There is an API key and a header Authorization. Give one of the two.")
    return {**headers, "Authorization": f"Bearer {key}"}


def require_endpoint(url: str) -> None:
    """Finds out whether anything answers there.

    Raises:
        UserError: That is no http or https address.
        DependencyError: Nothing does.
    """
    split_address(url)
    try:
        httpx.get(url.rstrip("/") + "/healthz", timeout=5.0)
    except httpx.HTTPError as error:
        raise DependencyError(f"Nothing answers at {url} ({error}). Start it with `plumbline serve run`.") from error


def _split(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise UserError("A header was given without a name: write --header 'Name: value'.")
    return name.strip(), value.strip()


def _key_in(path: Path) -> str:
    if not path.is_file():
        raise MissingInputError(f"There is no file {path} with an API key. Correct its path.")
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].strip():
        raise UserError(f"The first line of {path} is empty: it should be the API key.")
    return lines[0].strip()
