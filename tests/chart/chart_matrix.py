"""The ways to install that the chart is checked in: helm/plumbline/ci/*-values.yaml and the two profiles."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import yaml
from helm_engine import CHART, Render, RenderError, read_values, render

CI = CHART / "ci"
PROFILES = {name: CHART / f"values-{name}.yaml" for name in ("lite", "production")}
INSTALLATIONS = tuple(sorted(path.name.removesuffix("-values.yaml") for path in CI.glob("*-values.yaml")))
EVERY = (*INSTALLATIONS, *PROFILES)


def values_of(name: str) -> dict[str, Any]:
    """Values of an installation or a profile."""
    return read_values(PROFILES.get(name, CI / f"{name}-values.yaml"))


def existing_of(name: str) -> list[dict[str, Any]]:
    """What the installation expects in the cluster: Secrets that its values name."""
    path = CI / f"{name}-objects.yaml"
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) if path.is_file() else []


def rendered(name: str) -> Render:
    """The installation's objects, rendered once for all tests of a run. Tests that change objects copy them first."""
    result = _rendered(name)
    if isinstance(result, RenderError):
        pytest.fail(str(result), pytrace=False)
    return result


@functools.cache
def _rendered(name: str) -> Render | RenderError:
    try:
        return render(values_of(name), objects=existing_of(name))
    except RenderError as error:
        return error
