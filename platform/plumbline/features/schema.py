"""What a model needs to know of its features."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from plumbline.settings import Settings


class FeatureSpec(BaseModel):
    """One feature of a feature service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Column and key under which the value appears."""

    kind: Literal["numeric", "categorical"]
    """`categorical` values are text, `numeric` ones are int or float."""

    default: float | str
    """What stands for a value that is missing: the entity is unknown, its row is too old, or nothing is stated."""


def feature_specs(settings: Settings) -> list[FeatureSpec]:
    """Features of the applied service, in the service's order.

    Raises:
        MissingInputError: The service has not been applied.
    """
    from plumbline.features.plan import resolve
    from plumbline.features.store import open_feature_store

    return list(resolve(settings, open_feature_store(settings)).specs)
