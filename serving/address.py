"""An endpoint's address as a person writes it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import httpx

from plumbline.errors import UserError


def split_address(url: str) -> SplitResult:
    """Takes an address of HTTP apart.

    Raises:
        UserError: That is no http or https address of a host.
    """
    try:
        parts = urlsplit(url)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise UserError(f"{url!r} is not an address ({error}).") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or any(ord(sign) <= 32 for sign in url):
        raise UserError(f"{url!r} is not an address: give one such as http://127.0.0.1:8000.")
    return parts
