"""Problem documents: how every refusal is written (RFC 9457)."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from serving.errors import RequestRefusedError


def problem_response(error: RequestRefusedError, request_id: str) -> Response:
    """The refusal as `application/problem+json`."""
    document: dict[str, Any] = {
        "type": f"urn:plumbline:problem:{error.title}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.fields:
        document["errors"] = [{"field": field, "reason": reason} for field, reason in error.fields]
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Response(orjson.dumps(document), error.status, headers, "application/problem+json")


def explain_invalid(error: ValidationError) -> RequestRefusedError:
    """What pydantic found: 400 when the body is not JSON, 422 when it breaks the posting contract."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        return RequestRefusedError(400, "invalid-json", f"The body is not JSON: {faults[0]['msg']}.")
    fields = [(".".join(str(part) for part in fault["loc"]) or "(body)", fault["msg"]) for fault in faults]
    named = ", ".join(field for field, _ in fields)
    return RequestRefusedError(
        422, "contract-violation", f"The posting breaks the contract in: {named}. Correct it.", fields=fields
    )
