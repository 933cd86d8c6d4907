"""What the manifests say to Plumbline itself: settings, environment, commands. The real models and parsers judge."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from chart_pods import Objects, Pod, pods

from plumbline.cli.main import build_app
from plumbline.errors import PlumblineError
from plumbline.settings import Settings, load_settings

CONFIG_FOLDER = "/etc/plumbline"
_REFUSAL: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""Typer brings its own copy of click, which it does not export."""
_SECRET_NAME = re.compile(r"(password|secret_access_key|token)$")
_PASSWORD_IN_ADDRESS = re.compile(r"://[^/@:]+:[^/@]+@")
_REFERENCE = re.compile(r"\$\((\w+)\)")


def settings_text(objects: Objects) -> str:
    """The settings file that the pods read."""
    for item in objects:
        if item["kind"] == "ConfigMap" and "plumbline.yaml" in (item.get("data") or {}):
            return str(item["data"]["plumbline.yaml"])
    raise LookupError("no ConfigMap has the key plumbline.yaml")


def ours(pod: Pod) -> list[dict[str, Any]]:
    """Containers that read the settings file."""
    return [
        container
        for container in pod.containers
        if any(mount["mountPath"].startswith(CONFIG_FOLDER) for mount in container.get("volumeMounts") or [])
    ]


def environment(container: dict[str, Any]) -> dict[str, str]:
    """What the container's process sees; a Secret's value is a word of its own."""
    found: dict[str, str] = {}
    for variable in container.get("env") or []:
        value = str(variable.get("value", "secret"))
        found[variable["name"]] = _REFERENCE.sub(lambda match: found.get(match[1], match[0]), value)
    return found


def load(objects: Objects, container: dict[str, Any], folder: Path) -> Settings:
    """The settings as this container gets them, through the real model."""
    path = folder / "plumbline.yaml"
    path.write_text(settings_text(objects), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(container).items():
            patch.setenv(name, value)
        patch.setenv("PLUMBLINE_CONFIG", str(path))
        return load_settings()


def settings(objects: Objects, folder: Path) -> list[str]:
    """Every pod of ours gets settings that the model accepts, and no secret lies in the file."""
    everything = list(objects)
    problems = []
    tried: set[str] = set()
    for pod in pods(everything):
        for container in ours(pod):
            variables = environment(container)
            if repr(variables) in tried:
                continue
            tried.add(repr(variables))
            try:
                load(everything, container, folder)
            except PlumblineError as error:
                problems.append(f"{pod.name}: {container['name']}: {error}")
    text = yaml.safe_load(settings_text(everything))
    return problems + [f"the settings file holds {path}" for path in _secret_paths(text)]


def commands(objects: Objects) -> list[str]:
    """Every `plumbline` command line in the manifests is one that the command line's own parser accepts."""
    problems = []
    for pod in pods(objects):
        # KubeRay brings the commands of Ray's own containers.
        for container in pod.init_containers if pod.owner["kind"] == "RayService" else pod.containers:
            for line in command_lines(container):
                problem = parse(tuple(line))
                if problem:
                    problems.append(f"{pod.name}: {container['name']}: plumbline {' '.join(line)}: {problem}")
    return problems


def command_lines(container: dict[str, Any]) -> Iterator[list[str]]:
    """What follows `plumbline`: as the image's entrypoint, as a command, and inside `cluster job -- ...`."""
    command = [str(word) for word in container.get("command") or []]
    arguments = [str(word) for word in container.get("args") or []]
    reads_settings = any(mount["mountPath"].startswith(CONFIG_FOLDER) for mount in container.get("volumeMounts") or [])
    if command[:1] == ["plumbline"]:
        arguments = [*command[1:], *arguments]
    elif command or not reads_settings:
        return
    yield arguments
    if arguments[:2] == ["cluster", "job"] and "--" in arguments:
        yield arguments[arguments.index("--") + 1 :]


@functools.cache
def parse(arguments: tuple[str, ...]) -> str:
    """What the parser says against a command line; nothing is run."""
    command = typer.main.get_command(build_app(arguments))
    _defuse(command)
    try:
        command.main(args=list(arguments), prog_name="plumbline", standalone_mode=False)
    except _REFUSAL as error:
        return str(error.format_message())
    except typer.Exit:
        return "it prints help"
    return ""


def _defuse(command: Any) -> None:
    """Takes the function out of a command, and out of those below it."""
    command.callback = None
    for below in getattr(command, "commands", {}).values():
        _defuse(below)


def _secret_paths(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _secret_paths(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, str) and (_SECRET_NAME.search(path) or _PASSWORD_IN_ADDRESS.search(node)):
        yield path
