"""A working folder of a user's, whose modules have the names of ours and of Python's own."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("serving", "pipelines", "monitoring", "feature_repo", "plumbline", "platform")
MODULES = ("random", "typing", "json", "logging", "numpy")


def own_folder(parent: Path) -> Path:
    """Makes it: whatever imports one of its modules ends at once, and says so."""
    folder = parent / "own folder"
    for name in (*PACKAGES, *MODULES):
        path = folder / name / "__init__.py" if name in PACKAGES else folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('{name} was taken from the working folder')\n", encoding="utf-8")
    return folder
