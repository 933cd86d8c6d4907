"""What the image checks compare with: the project's version, the lock files, a posting."""

from __future__ import annotations

import json
import runpy
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROLES = ("serving", "features", "pipelines", "monitoring", "controller", "tracking")

Run = Callable[..., str]


def project_version() -> str:
    """The version that images are tagged with."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def posting() -> dict[str, str]:
    """A request that serving answers."""
    return {
        "posting_id": "image-check",
        "event_timestamp": "2026-03-30T00:00:00Z",
        "company": "Example Trading",
        "board": "example",
        "title": "Senior accountant",
        "description": "Monthly reports, VAT, payroll and balance sheets in a manufacturing company.",
    }


def pins(role: str) -> dict[str, str]:
    """Versions by package name of a role's lock file."""
    read_lock = runpy.run_path(str(ROOT / "helm/images/groups.py"))["read_lock"]
    return dict(pin.split("==", 1) for pin in read_lock(ROOT / "requirements" / f"{role}.lock"))


def parse_json(text: str) -> object:
    """The JSON document in the last line of a command's output."""
    return json.loads(text.strip().splitlines()[-1])
