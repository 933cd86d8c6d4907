"""One posting, asked of a running endpoint: what a person tries first, and what `helm test` runs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from plumbline.errors import DependencyError, UserError
from serving.samples import sample_postings

_RETRY_SECONDS = 1.0


def ask(url: str, posting: Path | None, *, timeout_seconds: float, key: str | None = None) -> dict[str, Any]:
    """Sends one posting and returns the endpoint's answer.

    Args:
        url: Address of the endpoint, such as `http://127.0.0.1:8000`.
        posting: JSON file with a posting of the contract; None sends a made-up one.
        timeout_seconds: The endpoint is tried until it answers for so long.
        key: API key, where the endpoint wants one.

    Raises:
        UserError: The file is no JSON, or the endpoint refuses the posting; its reason is passed on.
        DependencyError: The endpoint does not answer, or cannot.
    """
    body = _body(posting)
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            response = httpx.post(
                f"{url.rstrip('/')}/v1/classify",
                content=body,
                headers={"content-type": "application/json", **authorization(key)},
                timeout=max(1.0, timeout_seconds),
            )
        except httpx.HTTPError as error:
            reason = f"does not answer ({error})"
        else:
            if response.status_code == httpx.codes.OK:
                return dict(response.json())
            if response.is_client_error:
                raise UserError(f"The endpoint at {url} refuses the posting: {response.text}")
            reason = f"answers {response.status_code}: {response.text}"
        if time.monotonic() + _RETRY_SECONDS > deadline:
            raise DependencyError(f"The endpoint at {url} {reason}. Look at its log, and at {url}/readyz.")
        time.sleep(_RETRY_SECONDS)


def authorization(key: str | None) -> dict[str, str]:
    """The header that presents a key; none without one."""
    return {} if key is None else {"authorization": f"Bearer {key}"}


def _body(posting: Path | None) -> str:
    if posting is None:
        return sample_postings(datetime.now(UTC))[1].model_dump_json()
    try:
        text = posting.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{posting} is not a JSON file with a posting: {error}.") from error
    return text
