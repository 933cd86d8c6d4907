"""The API's schema as a page for people: made here, with nothing from anybody else's server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""No script, and nothing is fetched: the browser sees to it, too."""

_BOUNDS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below",
    "minLength": "characters from", "maxLength": "characters up to",
    "minItems": "items from", "maxItems": "items up to", "pattern": "matching",
}  # fmt: skip


def docs_page(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("serving.http", "."), autoescape=True)
    operations = [
        {"method": method.upper(), "path": path, **operation, "parameters": _parameters(item, operation)}
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, Mapping)
    ]
    return environment.get_template("page.html.j2").render(
        bounds=_BOUNDS, info=document["info"], operations=operations, schemas=document["components"]["schemas"]
    )


def _parameters(item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[Any]:
    return [*item.get("parameters", ()), *operation.get("parameters", ())]
