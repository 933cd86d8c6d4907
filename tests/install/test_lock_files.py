"""One lock file per role holds for every Python and system that the project names."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
ROLES = ("features", "pipelines", "serving", "monitoring", "controller", "tracking", "demo")
PYTHONS = ("3.11.9", "3.12.1", "3.13.0")
SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    "linux-arm": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
}


def environment(python: str, system: str) -> dict[str, str]:
    short = ".".join(python.split(".")[:2])
    return {**default_environment(), "python_version": short, "python_full_version": python, **SYSTEMS[system]}


def pins(name: str, where: dict[str, str] | None = None) -> dict[str, str]:
    """Versions by name; with an environment those that it needs."""
    found = {}
    for line in (LOCKS / f"{name}.lock").read_text(encoding="utf-8").splitlines():
        pin, _, marker = line.partition(" ; ")
        if where is None or not marker or Marker(marker).evaluate(where):
            package, version = pin.split("==")
            found[canonicalize_name(package)] = version
    return found


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.lock")), ids=lambda path: path.stem)
def test_lock_files_hold_names_versions_and_markers(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9A-Za-z.!]+( ; [^:/]+)?", line), line
    if path.stem != "serving-cuda":
        assert not re.search(r"(?m)^(nvidia-cu|nvidia-nccl|cuda-|triton=)", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("role", ROLES)
def test_roles_take_the_versions_that_are_tested(role: str) -> None:
    assert pins(role).items() <= pins("dev").items()


def test_the_declared_torch_is_the_locked_one_and_needs_what_its_build_for_cpus_needs() -> None:
    """Where this environment has that build: elsewhere its metadata name NVIDIA's libraries, too."""
    (declared,) = tomllib.loads((LOCKS / "uv.toml").read_text(encoding="utf-8"))["dependency-metadata"]
    assert declared["version"] == pins("dev")["torch"]
    needed = [Requirement(text) for text in importlib.metadata.requires("torch") or ()]
    needed = [each for each in needed if each.marker is None]
    assert {str(each) for each in needed} == {str(Requirement(text)) for text in declared["requires-dist"]}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_everything_that_is_asked_for_there_is_locked(python: str, system: str) -> None:
    """From the metadata of what is installed here: every requirement that holds there, and the versions of it."""
    where = environment(python, system)
    locked = pins("dev", where)
    wrong = []
    seen: set[tuple[str, str]] = set()
    waiting = [("plumbline", ""), ("plumbline", "dev")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for asked in _asked(name, {**where, "extra": extra}):
            package = canonicalize_name(asked.name)
            if package not in locked or not asked.specifier.contains(Version(locked[package]), prereleases=True):
                wrong.append(f"{name} asks for {asked}; locked is {locked.get(package)}")
            elif _installed(package) is not None:
                waiting += [(package, ""), *((package, each) for each in asked.extras)]
    assert wrong == []
    for package in locked:
        found = _installed(package)
        if found is not None and found.get("Requires-Python"):
            assert SpecifierSet(found["Requires-Python"]).contains(python), package


def _asked(name: str, where: dict[str, str]) -> list[Requirement]:
    texts = importlib.metadata.requires(name) or []
    return [asked for asked in map(Requirement, texts) if asked.marker is None or asked.marker.evaluate(where)]


def _installed(name: str) -> Any:
    try:
        return importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
