"""Which extra of the project brings a library, so that one that is missing can be named with its remedy."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Sequence
from functools import cache
from types import TracebackType

from plumbline.errors import UserError

PROJECT = "plumbline"
_NAMED = 3
_FOR_CPUS = "install --torch-backend cpu"

COMMAND_EXTRAS = {
    "cluster": "tracking",
    "controller": "controller",
    "demo": "demo",
    "features": "features",
    "load": "serving",
    "models": "model",
    "monitor": "monitoring",
    "pipeline": "pipelines",
    "release": "serving",
    "serve": "serving",
    "status": "model",
}
"""What a command is installed by. A library that this extra does not bring is looked for in the others."""

_OWN = frozenset({PROJECT, "feature_repo", "pipelines", "serving", "monitoring"})

_BROUGHT_BY = {
    "alembic": "mlflow",
    "botocore": "boto3",
    "google": "protobuf",
    "grpc": "grpcio",
    "hdrh": "hdrhistogram",
    "ibis": "ibis-framework",
    "jwt": "pyjwt",
    "opentelemetry": "opentelemetry-sdk",
    "redis": "feast",
    "requests": "evidently",
    "urllib3": "boto3",
    "yaml": "pyyaml",
}
"""Modules whose distribution has another name, or comes with another distribution."""


def missing_extra(error: ModuleNotFoundError, command: str | None) -> UserError | None:
    """The sentence for a library that our own code imports and that is not installed.

    Args:
        error: What the import raised.
        command: The command that was called, such as `serve`.

    Returns:
        None where somebody else's code imports it (a model of the user's, say), or no extra brings it: then the error
        speaks for itself.
    """
    module = (error.name or "").partition(".")[0]
    if module in _OWN or not _raised_in_own_code(error.__traceback__):
        return None
    extra = extra_with(module, COMMAND_EXTRAS.get(command or ""))
    if extra is None:
        return None
    called = f"`{PROJECT} {command}`" if command else PROJECT
    return UserError(f"{called} needs {module}, which is not installed. {how_to_install(extra)}")


def require_extra(extra: str, command: str) -> None:
    """Refuses a command whose children would each miss something.

    Raises:
        UserError: Something that the extra brings is not installed.
    """
    missing = missing_from(extra)
    if missing:
        raise UserError(f"`{PROJECT} {command}` needs {named(missing)}, not installed here. {how_to_install(extra)}")


def how_to_install(extra: str) -> str:
    """A sentence with the command that installs an extra."""
    line = f"pip install '{PROJECT}[{extra}]'"
    if "torch" in _requirements()[extra] and sys.platform == "linux":
        # Pip takes PyTorch's build for CUDA there, gigabytes with what it needs.
        return f"Install it: {line}; with PyTorch's build for CPUs: uv {line.replace('install', _FOR_CPUS)}."
    return f"Install it: {line}."


def named(distributions: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(distributions) - _NAMED} more" if len(distributions) > _NAMED else ""
    return ", ".join(distributions[:_NAMED]) + more


def extra_with(module: str, first: str | None) -> str | None:
    """An extra that brings a module: `first` if it does, else the smallest that does; None where none does."""
    distribution = _normalised(_BROUGHT_BY.get(module, module))
    brought = _requirements()
    if first is not None and distribution in brought.get(first, ()):
        return first
    found = [extra for extra, names in brought.items() if extra and distribution in names]
    return min(found, key=lambda extra: (len(brought[extra]), extra), default=None)


def missing_from(extra: str) -> list[str]:
    """Distributions that an extra asks for and that are not installed."""
    missing = []
    for name in sorted(_requirements()[extra]):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return missing


@cache
def _requirements() -> dict[str, frozenset[str]]:
    """By extra, what it asks for directly; under the empty name what every installation has."""
    found: dict[str, set[str]] = {}
    for line in importlib.metadata.requires(PROJECT) or ():
        requirement, _, marker = line.partition(";")
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None, line
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        found.setdefault(extra[1] if extra else "", set()).add(_normalised(name[0]))
    return {extra: frozenset(names) for extra, names in found.items()}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _raised_in_own_code(trace: TracebackType | None) -> bool:
    """Whether the import that failed stands in our code: the innermost frame that is not the import system's."""
    module = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not name.startswith("importlib"):
            module = name
        trace = trace.tb_next
    return module.partition(".")[0] in _OWN
