"""`plumbline status`: what this installation holds and what is running."""

from __future__ import annotations


def status() -> None:
    """Shows what is there."""
