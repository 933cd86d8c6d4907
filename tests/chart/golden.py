"""Renderings of the profiles that are kept: what the chart made when somebody last looked at the difference.

    python tests/chart/golden.py

accepts the present rendering (`make chart-golden`). There is one folder for each version of the chart: the present
one's is compared word by word, and every older one says what users have installed, which an upgrade must cope with.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml
from chart_matrix import PROFILES, existing_of, values_of
from helm_engine import CHART, NAMESPACE, RELEASE, Render, merge, render

FOLDER = Path(__file__).parent / "golden"
FIXED: dict[str, Any] = {
    "postgres": {"auth": {"password": "golden-postgres"}},
    "redis": {"auth": {"password": "goldenredis"}},
    "objectstore": {"auth": {"accessKeyId": "golden", "secretAccessKey": "golden-secret"}},
    "mlflow": {"auth": {"password": "golden-mlflow"}},
    "serving": {"auth": {"key": "golden-key-of-the-default-client"}},
    "controller": {"auth": {"token": "golden-token-of-the-controller"}},
    "grafana": {"auth": {"password": "golden-grafana"}},
    "kfp": {"database": {"auth": {"password": "goldenkfp"}}},
}
"""Credentials that would be random."""
_KEPT_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": f"{RELEASE}-plumbline-mlflow",
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE},
    },
    "data": {"flask-secret-key": "Z29sZGVu"},
}
"""A key that no value gives: it is found in the Secret of an earlier installation."""
_LONGEST = 4000
"""Longer texts (dashboards, rules) are files of the chart: their digest says whether they changed."""


def chart_version() -> str:
    """The chart's version."""
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"])


def profile(name: str) -> Render:
    """A profile with credentials that stay the same."""
    return render(merge(FIXED, values_of(name)), objects=[*existing_of(name), _KEPT_SECRET])


def write(rendered: Render) -> str:
    """Objects and their keys in a stable order. Definitions of others' kinds are left out."""
    kept = [item for item in rendered.objects if item["kind"] != "CustomResourceDefinition"]
    objects = [_short(item) for item in sorted(kept, key=_key)]
    return yaml.safe_dump_all(objects, sort_keys=True, width=120)


def read(path: Path) -> list[dict[str, Any]]:
    """Objects of a kept rendering."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def _short(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _short(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_short(item) for item in node]
    if isinstance(node, str) and len(node) > _LONGEST:
        return f"sha256:{hashlib.sha256(node.encode()).hexdigest()}"
    return node


def main() -> None:
    """Writes the present version's renderings."""
    folder = FOLDER / chart_version()
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROFILES:
        path = folder / f"{name}.yaml"
        path.write_text(write(profile(name)), encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(FOLDER.parent)}\n")


if __name__ == "__main__":
    main()
