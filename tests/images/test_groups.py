"""The Dockerfile and the groups of packages: what can be checked without building."""

from __future__ import annotations

import re
import runpy
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.images.material import ROLES, ROOT, project_version

# The layers that a role's image stands on, from the base up.
LAYERS = {
    "features": ("common", "features"),
    "tracking": ("common", "mlflow", "tracking"),
    "serving-cuda": ("common", "cuda"),
    "controller": ("common", "mlflow", "model", "controller"),
    **{role: ("common", "mlflow", "model", "line", role) for role in ("serving", "pipelines", "monitoring")},
}


@pytest.fixture(scope="module")
def groups() -> dict[str, Any]:
    """The builder's script, as it is run there."""
    return runpy.run_path(str(ROOT / "helm/images/groups.py"))


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The Dockerfile's text."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_layers_of_a_role_are_its_lock(groups: dict[str, Any]) -> None:
    locks = {role: groups["read_lock"](ROOT / f"requirements/{role}.lock") for role in LAYERS}
    split = groups["split"](locks)
    for role, layers in LAYERS.items():
        pins = [pin for layer in layers for pin in split[layer]]
        assert sorted(pins) == sorted(locks[role]), role


def test_dockerfile_stacks_those_layers(dockerfile: str) -> None:
    stages: dict[str, tuple[str, tuple[str, ...]]] = {}
    for stage in re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]:
        base, name = stage.split("\n", 1)[0].split(" AS ")
        stages[name] = (base, tuple(re.findall(r"^COPY --from=layer-(\S+) /layer/", stage, flags=re.MULTILINE)))
    for role, layers in LAYERS.items():
        found: tuple[str, ...] = ()
        name = role
        while name in stages:
            name, copied = stages[name][0], stages[name][1]
            found = copied + found
        assert found == (*layers, "project"), role


def test_each_role_is_a_labelled_target(dockerfile: str) -> None:
    for role in (*ROLES, "serving-cuda"):
        assert re.search(rf"^FROM \S+ AS {role}$", dockerfile, flags=re.MULTILINE)
        assert f'title="plumbline-{role}"' in dockerfile
    versions = re.findall(r'image\.version="([^"]+)"', dockerfile)
    assert versions == [project_version()] * (len(ROLES) + 1)


def test_build_names_no_package_index(dockerfile: str) -> None:
    assert "://" not in dockerfile


def test_context_lets_through_what_is_copied(dockerfile: str) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line[0] == "!"}
    for line in re.findall(r"^COPY (?!--from)(?:--chmod=\d+ )?(.+) \S+$", dockerfile, flags=re.MULTILINE):
        for source in line.replace("wheel[s]", "wheels").split():
            folder = source.rstrip("/") + "/"
            assert any(fnmatch(source, name) or name.startswith(folder) for name in allowed), source
