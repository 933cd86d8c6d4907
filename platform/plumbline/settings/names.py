"""Names that several places have to take: MLflow, addresses, labels of Kubernetes and Prometheus."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

_MODEL = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_ALIAS = r"^[A-Za-z][A-Za-z0-9_-]*$"
_TAKEN = re.compile(r"latest|[vV]\d+")
"""Aliases that MLflow keeps for itself."""


def _require_model_name(name: str) -> str:
    if not re.fullmatch(_MODEL, name):
        raise PydanticCustomError(
            "model_name",
            "a model's name has 1 to 63 letters, digits, dots, dashes and underscores, and begins and ends with a "
            "letter or digit",
        )
    return name


def _require_alias(name: str) -> str:
    if not re.fullmatch(_ALIAS, name) or _TAKEN.fullmatch(name):
        raise PydanticCustomError(
            "alias",
            "an alias has letters, digits, dashes and underscores, begins with a letter, and is neither `latest` nor "
            "like `v1`",
        )
    return name


ModelName = Annotated[str, AfterValidator(_require_model_name), Field(json_schema_extra={"pattern": _MODEL})]
AliasName = Annotated[str, AfterValidator(_require_alias), Field(json_schema_extra={"pattern": _ALIAS})]
