"""A feature service, resolved once from the registry: what to read, by which key, and how fresh it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from feast import FeatureService, FeatureStore, FeatureView, OnDemandFeatureView
from feast.errors import FeastObjectNotFoundException

from plumbline.errors import SettingsError
from plumbline.features.schema import FeatureSpec
from plumbline.features.store import not_applied
from plumbline.settings import Settings

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class BatchViewPlan:
    """One batch view of the service."""

    name: str
    key: str
    """Column of the posting that holds the entity's key."""
    features: tuple[str, ...]
    ttl: timedelta
    view: FeatureView


@dataclass(frozen=True)
class OnDemandPlan:
    """One request-time view of the service."""

    name: str
    inputs: tuple[str, ...]
    features: tuple[str, ...]
    compute: Callable[[Columns], Columns]
    """The function as it was applied to the registry: the very one that Feast runs offline."""
    source: str
    """Its text."""


@dataclass(frozen=True)
class ServicePlan:
    """A feature service with all that a read needs to know."""

    service: FeatureService
    batch: tuple[BatchViewPlan, ...]
    on_demand: tuple[OnDemandPlan, ...]
    specs: tuple[FeatureSpec, ...]
    """In the service's order."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns of a posting that the service reads: keys, request fields and the time."""
        names = ["event_timestamp", *(view.key for view in self.batch)]
        for view in self.on_demand:
            names += view.inputs
        return tuple(dict.fromkeys(names))


def resolve(settings: Settings, store: FeatureStore) -> ServicePlan:
    """Resolves the service that the settings name.

    Raises:
        MissingInputError: The registry does not hold the service, or a view of it.
        SettingsError: A view of the service is of a kind that cannot be read here.
    """
    try:
        service = store.get_feature_service(settings.features.service)
        views = [
            store.registry.get_any_feature_view(part.name, store.project) for part in service.feature_view_projections
        ]
    except FeastObjectNotFoundException as error:
        raise not_applied(settings, error) from error
    batch: list[BatchViewPlan] = []
    on_demand: list[OnDemandPlan] = []
    specs: list[FeatureSpec] = []
    for part, view in zip(service.feature_view_projections, views, strict=True):
        names = tuple(field.name for field in part.features)
        specs += [_spec(field) for field in part.features]
        if isinstance(view, OnDemandFeatureView):
            on_demand.append(_on_demand(view, names))
        elif isinstance(view, FeatureView) and len(view.join_keys) == 1 and view.ttl:
            batch.append(BatchViewPlan(view.name, view.join_keys[0], names, view.ttl, view))
        else:
            raise SettingsError(
                f"The view {view.name} of {service.name} cannot be served: a batch view needs one entity and a TTL."
            )
    return ServicePlan(service, tuple(batch), tuple(on_demand), tuple(specs))


def _on_demand(view: OnDemandFeatureView, names: tuple[str, ...]) -> OnDemandPlan:
    if view.mode != "python" or view.singleton or view.source_feature_view_projections:
        raise SettingsError(
            f"The on-demand view {view.name} must be in plain Python mode and read only request fields: "
            "other kinds do not give the same values offline and online."
        )
    compute: Callable[[Columns], Columns] = view.feature_transformation.udf  # type: ignore[union-attr]
    source: str = view.feature_transformation.udf_string  # type: ignore[union-attr]
    return OnDemandPlan(view.name, tuple(view.get_request_data_schema()), names, compute, source)


def _spec(field: Any) -> FeatureSpec:
    """Text is a category, everything else a number: a field's type is the one thing that Feast keeps of it."""
    if str(field.dtype) == "String":
        return FeatureSpec(name=field.name, kind="categorical", default="")
    return FeatureSpec(name=field.name, kind="numeric", default=0.0)
