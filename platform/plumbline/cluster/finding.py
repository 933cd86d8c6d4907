"""What a doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What it is.
        verdict: A `problem` stands in the way; a `warning` may.
        found: How it is.
        advice: What to do; empty where nothing is to be done.
    """

    check: str
    verdict: Literal["ok", "warning", "problem"]
    found: str
    advice: str
