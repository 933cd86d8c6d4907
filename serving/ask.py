"""One posting, asked of a running endpoint: what a person tries first, and what `helm test` runs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from plumbline.errors import DependencyError, UserError
from serving.address import split_address
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
        UserError: That is no address, the file is no JSON, or the endpoint refuses the posting; its reasons are
            passed on.
        DependencyError: The endpoint does not answer, or cannot.
    """
    split_address(url)
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
                return _document(response)
            if response.is_client_error:
                raise UserError(f"The endpoint at {url} refuses the posting: {_reasons(response)}")
            reason = f"answers {response.status_code}: {response.text}"
        if time.monotonic() + _RETRY_SECONDS > deadline:
            raise DependencyError(f"The endpoint at {url} {reason}. Look at its log, and at {url}/readyz.")
        time.sleep(_RETRY_SECONDS)


def authorization(key: str | None) -> dict[str, str]:
    """The header that presents a key; none without one."""
    return {} if key is None else {"authorization": f"Bearer {key}"}


def served_models(url: str, key: str | None) -> dict[str, Any]:
    """What the endpoint says about the models that it serves.

    Raises:
        UserError: That is no address.
        DependencyError: The endpoint does not answer, or not with its models.
    """
    split_address(url)
    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/models", headers=authorization(key), timeout=5.0)
    except httpx.HTTPError as error:
        raise DependencyError(f"The endpoint at {url} does not answer ({error}). Is it running?") from error
    if answer.status_code != httpx.codes.OK:
        raise DependencyError(f"The endpoint at {url} answers {answer.status_code}: {_reasons(answer)}")
    document = _document(answer)
    if "models" not in document:
        raise DependencyError(f"The endpoint at {url} names no models. Is it the right address?")
    return document


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        return dict(answer.json())
    except (ValueError, TypeError) as error:
        raise DependencyError(
            f"What answers at {answer.url} is no endpoint of ours. Is it the right address?"
        ) from error


def _reasons(answer: httpx.Response) -> str:
    """A problem document as a sentence; anything else as it is."""
    try:
        problem = answer.json()
        fields = [f"{each['field']} {each['reason']}" for each in problem.get("errors", ())]
        return "; ".join(fields) or str(problem["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text or "no reason given"


def _body(posting: Path | None) -> str:
    if posting is None:
        return sample_postings(datetime.now(UTC))[1].model_dump_json()
    try:
        text = posting.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{posting} is not a JSON file with a posting: {error}.") from error
    return text
