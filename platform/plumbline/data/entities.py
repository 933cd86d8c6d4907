"""Reads HTML entities in text, in whatever depth they lie inside each other."""

from __future__ import annotations

import html
import re

_ENTITY = re.compile(r"&(?:#|[A-Za-z])")
_AMPERSANDS = re.compile(r"&(?:(?:amp|#0*38|#x0*26);)+", re.IGNORECASE)
"""An ampersand that was written as an entity again and again, such as `&amp;amp;`."""

_ROUNDS = 3


def without_entities(text: str) -> str:
    """The text with every HTML entity read; the time is linear in its length.

    Reading it again changes nothing. Where entities of other characters than the ampersand make up further entities,
    and these again, the ampersands of the rest are left out.
    """
    for _ in range(_ROUNDS):
        if not _ENTITY.search(text):
            return text
        read = html.unescape(_AMPERSANDS.sub("&", text))
        if read == text:
            return text
        text = read
    return text if html.unescape(text) == text else text.replace("&", " ")
