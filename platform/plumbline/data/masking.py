"""Masks e-mail addresses, phone numbers and links in text, and counts them.

What is masked becomes a placeholder (`<email>`, `<phone>`, `<link>`), so that a model may still see that there
was a contact. Numbers that are something else (salaries, dates, register and reference numbers) must stay: a
run of digits is a phone number only by its country code, by the grouping that phone numbers have, or by a word
such as "tel." before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal

PLACEHOLDERS = ("<email>", "<phone>", "<link>")

MASKED_FIELDS: tuple[Literal["title", "description"], ...] = ("title", "description")
"""Fields that are masked unless a mapping says otherwise; serving masks the same ones."""

# Every pattern begins at a border or is bounded, so that no text takes more than time linear in its length.
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]+(?:@|\s?(?:\(at\)|\[at\]|\(małpa\)|\[małpa\])\s?)\w[\w-]*(?:\.\w[\w-]*)+", re.IGNORECASE
)

_AT_IN_WORDS = re.compile(r"[(\[](?:at|małpa)[)\]]", re.IGNORECASE)

# A bare host is a link only by an ending in small letters: "ASP.NET", "Node.js" and "pracy.Do" are words.
_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'|]*[^\s<>\"'|.,;:!?)\]}]"
    r"|(?<![\w.@/-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+(?:pl|com|eu|org|info|co\.uk|de|example)"
    r"(?![\w@-]|\.\w)(?:/[^\s<>\"'|]*[^\s<>\"'|.,;:!?)\]}])?"
)

# Cheap signs without which the patterns proper, which are dear, cannot match.
_LINK_SIGN = re.compile(r"://|www\.|\.(?:pl|com|eu|org|info|co\.uk|de|example)(?![\w@-])")
_PHONE_SIGN = re.compile(r"\d(?:[ \u00a0.\-–/()]{0,3}\d){6}")

_SEPARATOR = r"[ \u00a0.\-–/]"
_INTERNATIONAL = rf"(?<!\d)(?:\+|\b00)[ ]?\(?[1-9]\d{{0,2}}\)?(?:{_SEPARATOR}?\(?\d{{1,4}}\)?){{2,6}}(?!\d)"
_GROUPED = (
    r"(?<![\d.,/\-–])(?:"
    r"\d{3}[ \u00a0]\d{3}[ \u00a0]\d{3}|\d{3}-\d{3}-\d{3}|\d{3}\.\d{3}\.\d{3}"  # 600 100 200
    r"|\(?0?\d{2}\)?[ \u00a0\-]\d{3}[ \u00a0\-]\d{2}[ \u00a0\-]\d{2}"  # 22 100 20 30
    r"|\(?\d{2}\)?[ \u00a0\-](?:\d{7}|\d{3}[ \u00a0\-]\d{4}|\d{2}-\d{2}-\d{3})"  # 22 1002030
    r"|\(\d{3}\)[ \u00a0]?\d{3}[ -]\d{4}|\d{3}-\d{3}-\d{4}"  # (212) 555-0100
    r"|(?:4[5]|5[0137]|6[069]|7[2389]|88)\d{7}"  # nine digits that begin as mobile numbers do
    r")(?!\d|[.,\-–/]\d)"
)
_PHONE = re.compile(rf"{_INTERNATIONAL}|{_GROUPED}")
_AFTER_WORD_PHONE = re.compile(
    r"(\b(?:tel(?:efon\w*)?|phone|mobile|kom(?:órk\w*)?|fax|faks|call(?: us)?|zadzwoń|dzwoń|dzwonić|sms"
    r"|pod (?:numer\w*|nr))\b[.:]{0,2}\s{0,2}(?:pod |nr\.? |at |on )?)"
    rf"(\(?\d(?:{_SEPARATOR}?\(?\d\)?){{6,11}})(?!\d)",
    re.IGNORECASE,
)

# What follows a sum of money, and what precedes a number in a register.
_MONEY_AFTER = re.compile(r"\s{0,2}(?:zł|pln|eur|€|\$|usd|gbp|£|tys|mln|brutto|netto|%)", re.IGNORECASE)
_REGISTER_BEFORE = re.compile(
    r"(?:\bref\w*|\bregon|\bnip|\bkrs|\bkraz|\bid|\bcertyfikat\w*|\bsygnatur\w*|\bnumer(?:em)? oferty|\bkonto)"
    r"[\s.:#/nr]{0,6}$",
    re.IGNORECASE,
)
_ROUND_SUM = re.compile(r"000[ \u00a0.]000$")
_MONEY_BEFORE = re.compile(r"[€$£]\s?$")
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}")
_LOOK_BACK = 24


def mask_text(text: str, counts: Counter[str] | None = None) -> str:
    """The text with e-mail addresses, phone numbers and links replaced by placeholders.

    Masking twice is masking once.

    Args:
        text: Any text.
        counts: Is added to, by kind: `email`, `phone`, `link`.
    """
    found: Counter[str] = Counter() if counts is None else counts
    if "@" in text or _AT_IN_WORDS.search(text):
        text, number = _EMAIL.subn("<email>", text)
        found["email"] += number
    if _LINK_SIGN.search(text):
        text, number = _LINK.subn("<link>", text)
        found["link"] += number
    return _mask_phones(text, found)


def mask_record(record: dict[str, object], fields: Iterable[str], counts: Counter[str]) -> None:
    """Masks some fields of a record in place; values that are not text stay."""
    for name in fields:
        value = record.get(name)
        if isinstance(value, str):
            record[name] = mask_text(value, counts)


def _mask_phones(text: str, counts: Counter[str]) -> str:
    if not _PHONE_SIGN.search(text):
        return text

    def after_word(match: re.Match[str]) -> str:
        if _DATE.match(match.group(2)) or _MONEY_AFTER.match(text, match.end()):
            return match.group()
        counts["phone"] += 1
        return f"{match.group(1)}<phone>"

    def alone(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
        international = match.group().startswith(("+", "00"))
        digits = sum(character.isdigit() for character in match.group())
        if _MONEY_AFTER.match(text, match.end()) or _MONEY_BEFORE.search(before) or _DATE.search(match.group()):
            return match.group()
        if _ROUND_SUM.search(match.group()):
            return match.group()
        if (international and not 8 <= digits <= 15) or (not international and _REGISTER_BEFORE.search(before)):
            return match.group()
        counts["phone"] += 1
        return "<phone>"

    text = _AFTER_WORD_PHONE.sub(after_word, text)
    return _PHONE.sub(alone, text)
