"""Splits the lock files of the roles into groups of packages that become image layers shared by several roles.

    groups.py LOCKS OUT

Every role's image holds exactly the packages of its lock file. Installing each file as one layer would store
PyTorch four times on a node; so what several roles have in common becomes a layer that their images share:

    common ─┬─ features
            ├─ cuda (the serving role with PyTorch's CUDA build)
            └─ mlflow ─┬─ tracking
                       └─ model ─┬─ controller
                                 └─ line ─┬─ serving
                                          ├─ pipelines
                                          └─ monitoring

Each group is written as a requirements file, to OUT/cpu/<group>.txt or OUT/cuda/cuda.txt: PyTorch's two builds have
the same version, so their wheels are fetched apart. Runs in the image's builder, with the
tools of build.lock.
"""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.markers import Marker

MODEL_ROLES = ("controller", "pipelines", "serving", "monitoring")
LINE_ROLES = ("pipelines", "serving", "monitoring")
MLFLOW_ROLES = ("tracking", *MODEL_ROLES)
CPU_ROLES = ("features", *MLFLOW_ROLES)
CUDA_ROLE = "serving-cuda"


def read_lock(path: Path) -> frozenset[str]:
    """Pins of a lock file that this system and Python need, without comments and markers."""
    found = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        pin, _, marker = (part.strip() for part in line.partition("#")[0].partition(";"))
        if pin and (not marker or Marker(marker).evaluate()):
            found.add(pin)
    return frozenset(found)


def split(locks: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Groups of pins: joined along the tree above, they give each role's lock file again."""
    common = frozenset[str].intersection(*locks.values())
    mlflow = _shared(locks, MLFLOW_ROLES) - common
    model = _shared(locks, MODEL_ROLES) - common - mlflow
    line = _shared(locks, LINE_ROLES) - common - mlflow - model
    return {
        "common": common,
        "mlflow": mlflow,
        "model": model,
        "line": line,
        "features": locks["features"] - common,
        "tracking": locks["tracking"] - common - mlflow,
        "cuda": locks[CUDA_ROLE] - common,
        "controller": locks["controller"] - common - mlflow - model,
        **{role: locks[role] - common - mlflow - model - line for role in LINE_ROLES},
    }


def _shared(locks: dict[str, frozenset[str]], roles: tuple[str, ...]) -> frozenset[str]:
    return frozenset[str].intersection(*(locks[role] for role in roles))


def main(locks_dir: Path, out: Path) -> None:
    """Writes the groups; refuses lock files that pin one package to two versions."""
    locks = {role: read_lock(locks_dir / f"{role}.lock") for role in (*CPU_ROLES, CUDA_ROLE)}
    versions: dict[str, str] = {}
    for pin in sorted(frozenset[str]().union(*locks.values())):
        name = pin.partition("==")[0]
        if versions.setdefault(name, pin) != pin:
            sys.exit(f"The lock files pin both {versions[name]} and {pin}. Run `make lock`.")
    for group, pins in split(locks).items():
        folder = out / ("cuda" if group == "cuda" else "cpu")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{group}.txt").write_text("".join(f"{pin}\n" for pin in sorted(pins)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
