"""Renders the chart through the real Helm engine, against a Kubernetes API in memory.

    python tests/chart/helm_engine.py [VALUES.yaml ...]

prints what `helm install` would send, hooks and notes included.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import helm_sdkpy
import yaml
from helm_cluster import OPERATORS, FakeCluster

CHART = Path(__file__).resolve().parents[2] / "helm" / "plumbline"
RELEASE = "pl"
NAMESPACE = "mlops"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RenderError(Exception):
    """Helm refused the chart or its values; the message is Helm's."""


@dataclass(frozen=True)
class Render:
    """One revision of a release: what Helm sends to the cluster.

    Attributes:
        manifest: YAML of the release's objects.
        hook_manifests: YAML of its hooks, tests included.
        notes: What Helm prints after the installation.
    """

    manifest: str
    hook_manifests: tuple[str, ...]
    notes: str

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        """Objects that belong to the release."""
        return [item for item in yaml.load_all(self.manifest, Loader=_LOADER) if item]

    @cached_property
    def hooks(self) -> list[dict[str, Any]]:
        """Objects that Helm makes at certain moments: migrations, tests."""
        return [item for text in self.hook_manifests for item in yaml.load_all(text, Loader=_LOADER) if item]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """All of them."""
        return [*self.resources, *self.hooks]

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        """Objects of these kinds."""
        return [item for item in self.objects if item["kind"] in kinds]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The object of this kind whose name ends with `name`; exactly one."""
        found = [item for item in self.of_kind(kind) if item["metadata"]["name"].endswith(name)]
        if len(found) != 1:
            names = [item["metadata"]["name"] for item in self.of_kind(kind)]
            raise LookupError(f"{len(found)} objects {kind} *{name} among {names}")
        return found[0]

    @property
    def text(self) -> str:
        """Everything as one YAML stream."""
        hooks = "".join(f"---\n{text.strip()}\n" for text in self.hook_manifests)
        return f"{self.manifest.strip()}\n{hooks}"


class Helm:
    """A release's life in one cluster.

    Args:
        cluster: The API to speak to.
        chart: Folder of the chart.
        release: The release's name.
        namespace: Its namespace.
    """

    def __init__(
        self, cluster: FakeCluster, *, chart: Path = CHART, release: str = RELEASE, namespace: str = NAMESPACE
    ) -> None:
        self._sdk = helm_sdkpy
        self._chart = str(chart)
        self._release = release
        self._configuration = helm_sdkpy.Configuration(namespace=namespace, kubeconfig=cluster.kubeconfig)

    def install(self, values: Mapping[str, Any] | None = None) -> Render:
        """Installs; raises RenderError with Helm's words."""
        return self._run(self._sdk.Install(self._configuration), values)

    def upgrade(self, values: Mapping[str, Any] | None = None) -> Render:
        """Upgrades what was installed; raises RenderError with Helm's words."""
        return self._run(self._sdk.Upgrade(self._configuration), values)

    def lint(self) -> list[tuple[int, str]]:
        """Helm's own lint with the chart's default values: severity (2: a warning, 3: an error) and file.

        The binding loses the messages' text."""
        found = asyncio.run(self._sdk.Lint(self._configuration).run(self._chart))
        return [(message["Severity"], message["Path"]) for message in found["Messages"]]

    def _run(self, action: Any, values: Mapping[str, Any] | None) -> Render:
        run = action.run(self._release, self._chart, values=dict(values or {}), wait=False, timeout=30)
        try:
            result = asyncio.run(run)
        except self._sdk.HelmError as error:
            raise RenderError(str(error)) from error
        hooks = sorted(hook["manifest"] for hook in result.get("hooks") or [])
        return Render(result["manifest"], tuple(hooks), (result.get("info") or {}).get("notes", ""))


def render(
    values: Mapping[str, Any] | None = None,
    *,
    chart: Path = CHART,
    version: str = "1.36",
    operators: Sequence[str] = tuple(OPERATORS),
    objects: Sequence[Mapping[str, Any]] = (),
) -> Render:
    """A fresh installation's objects. By default the cluster has all operators' kinds."""
    cluster = FakeCluster(version, operators, objects)
    try:
        return Helm(cluster, chart=chart).install(values)
    finally:
        cluster.close()


def read_values(*paths: Path) -> dict[str, Any]:
    """Values files, later ones over earlier ones, as `helm -f A -f B`."""
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {})
    return merged


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: mappings are merged, everything else is replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def main(arguments: Sequence[str]) -> int:
    """Prints the rendering of the chart with the given values files."""
    try:
        rendered = render(read_values(*(Path(name) for name in arguments)))
    except (RenderError, OSError) as error:
        sys.stderr.write(f"{re.sub(r'^.*?execution error at', 'At', str(error))}\n")
        return 2
    sys.stdout.write(rendered.text)
    sys.stdout.write("# NOTES\n" + "".join(f"# {line}\n".replace(" \n", "\n") for line in rendered.notes.splitlines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
