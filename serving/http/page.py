"""The API's schema as a page for people: made here, with nothing from anybody else's server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup, escape

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
    environment.globals["kind"] = kind
    operations = [
        {"method": method.upper(), "path": path, **operation, "parameters": _parameters(item, operation)}
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, Mapping)
    ]
    return environment.get_template("page.html.j2").render(
        info=document["info"], operations=operations, schemas=document["components"]["schemas"]
    )


def kind(schema: Mapping[str, Any]) -> Markup:
    """What a value is, in words; schemas with a name are links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return Markup(" or ").join(kind(choice) for choice in choices)
    if "enum" in schema or "const" in schema:
        return Markup(", ").join(escape(repr(value)) for value in schema.get("enum", [schema.get("const")]))
    named = schema.get("type", "any value")
    words = escape(" or ".join(named) if isinstance(named, list) else named)
    if named == "array":
        words = Markup("list of ({})").format(kind(schema.get("items", {})))
    elif isinstance(schema.get("additionalProperties"), Mapping):
        words = Markup("object of ({})").format(kind(schema["additionalProperties"]))
    elif "format" in schema:
        words += Markup(" ({})").format(schema["format"])
    for bound, said in _BOUNDS.items():
        if bound in schema:
            words += Markup(", {} {}").format(said, schema[bound])
    return words


def _parameters(item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[Any]:
    return [*item.get("parameters", ()), *operation.get("parameters", ())]
