"""The digest of a service changes with anything that could change a value, and with nothing else."""

from __future__ import annotations

import pytest

from feature_repo.definitions import apply, definitions
from plumbline.features.definition import definition_of
from plumbline.features.plan import resolve
from plumbline.features.store import apply_definitions, open_feature_store
from plumbline.settings import Settings


def digest(settings: Settings) -> str:
    return definition_of(settings, resolve(settings, open_feature_store(settings)))


@pytest.fixture
def applied(settings: Settings) -> Settings:
    apply(settings)
    return settings


def test_the_same_definitions_have_the_same_digest(applied: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = digest(applied)
    apply(applied)
    elsewhere = applied.model_copy(update={"home": tmp_path_factory.mktemp("elsewhere")})
    apply(elsewhere)
    assert digest(applied) == digest(elsewhere) == before


def test_another_time_to_live_or_grid_is_another_definition(applied: Settings) -> None:
    found = {digest(applied)}
    for change in ({"activity_ttl_days": 3}, {"grid_hours": 12}):
        other = applied.model_copy(update={"features": applied.features.model_copy(update=change)})
        apply(other)
        found.add(digest(other))
    assert len(found) == 3


def test_a_view_or_a_field_less_is_another_definition(applied: Settings) -> None:
    from feast import FeatureService

    before = digest(applied)
    *objects, service = definitions(applied)
    views = [thing for thing in objects if thing.name in {part.name for part in service.feature_view_projections}]
    found = set()
    for parts in (views[1:], [views[0][["company_postings_7d"]], *views[1:]]):
        apply_definitions(applied, [*objects, FeatureService(name=service.name, features=parts)])
        found.add(digest(applied))
    assert len({before, *found}) == 3
