"""Masks e-mail addresses, phone numbers and links in text, and counts them.

What is masked becomes a placeholder (`<email>`, `<phone>`, `<link>`), so that a model may still see that there
was a contact. Numbers that are something else (salaries, dates, register and reference numbers) must stay: a
run of digits is a phone number only by its country code, by the grouping that phone numbers have, or by a word
such as "tel." before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
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
_HOST_SIGN = re.compile(r"\.(?:pl|com|eu|org|info|co\.uk|de|example)(?![\w@-])")
_DIGITS = re.compile(r"\d(?:[ \u00a0.\-–/()]{0,3}\d){6,}")
"""Seven digits or more that belong together: a phone number has them, and all its digits lie in one such run."""

_NO_DIGITS = bytes(byte for byte in range(256) if byte not in b"0123456789" and not (byte >= 0xD9 and byte != 0xE2))
"""Bytes of UTF-8 with which no decimal digit of any script begins; those beyond ASCII begin at U+0660, and none of
them lies between U+2000 and U+2FFF, where dashes and bullets are."""

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
_FEWEST_DIGITS = 7

# Characters that a match of the phone patterns may have around its run of digits, at most.
_BEFORE_DIGITS = 3  # "+ ("
_AFTER_DIGITS = 4  # ")", and what must not follow
_BETWEEN_WORD_AND_DIGITS = 9  # ":.", two spaces, "pod ", "("
_LONGEST_FIRST_WORD = 8  # "call ", "pod "


def mask_text(text: str, counts: Counter[str] | None = None) -> str:
    """The text with e-mail addresses, phone numbers and links replaced by placeholders.

    Masking twice is masking once.

    Args:
        text: Any text.
        counts: Is added to, by kind: `email`, `phone`, `link`.
    """
    while True:
        masked = _mask_once(text, counts)
        if masked == text:
            return text
        text = masked  # once more: what stood beside something that is gone now, without a gap, may be an address


def mask_record(record: dict[str, object], fields: Iterable[str], counts: Counter[str]) -> None:
    """Masks some fields of a record in place; values that are not text stay."""
    for name in fields:
        value = record.get(name)
        if isinstance(value, str):
            record[name] = mask_text(value, counts)


def _count(counts: Counter[str] | None, kind: str, number: int) -> None:
    if counts is not None and number:
        counts[kind] += number


def _mask_once(text: str, counts: Counter[str] | None) -> str:
    if "@" in text or (("(" in text or "[" in text) and _AT_IN_WORDS.search(text)):
        text, number = _EMAIL.subn("<email>", text)
        _count(counts, "email", number)
    if "://" in text or "www." in text or _HOST_SIGN.search(text):
        text, number = _LINK.subn("<link>", text)
        _count(counts, "link", number)
    if len(text.encode("utf-8", "surrogatepass").translate(None, _NO_DIGITS)) < _FEWEST_DIGITS:
        return text
    return _mask_phones(text, counts)


def _mask_phones(text: str, counts: Counter[str] | None) -> str:
    text, number = _replace_near_digits(text, _AFTER_WORD_PHONE, _after_word, _start_of_words)
    _count(counts, "phone", number)
    text, number = _replace_near_digits(text, _PHONE, _alone, lambda _, start: max(0, start - _BEFORE_DIGITS))
    _count(counts, "phone", number)
    return text


def _after_word(text: str, match: re.Match[str]) -> str | None:
    if _DATE.match(match.group(2)) or _MONEY_AFTER.match(text, match.end()):
        return None
    return f"{match.group(1)}<phone>"


def _alone(text: str, match: re.Match[str]) -> str | None:
    before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
    international = match.group().startswith(("+", "00"))
    digits = sum(character.isdigit() for character in match.group())
    if _MONEY_AFTER.match(text, match.end()) or _MONEY_BEFORE.search(before) or _DATE.search(match.group()):
        return None
    if _ROUND_SUM.search(match.group()):
        return None
    if (international and not 8 <= digits <= 15) or (not international and _REGISTER_BEFORE.search(before)):
        return None
    return "<phone>"


def _replace_near_digits(
    text: str,
    pattern: re.Pattern[str],
    replacement: Callable[[str, re.Match[str]], str | None],
    earliest: Callable[[str, int], int],
) -> tuple[str, int]:
    """What `pattern.sub` gives, looking only where digits are: both patterns are dear at every other place.

    Args:
        text: Text.
        pattern: All digits of a match lie in one run of `_DIGITS`.
        replacement: Of a match, None if it stays.
        earliest: Where a match may begin at the earliest, by the start of its run.
    """
    parts: list[str] = []
    copied = position = number = 0
    for run in _DIGITS.finditer(text):
        position = max(position, earliest(text, run.start()))
        while match := pattern.search(text, position, run.end() + _AFTER_DIGITS):
            position = match.end()
            replaced = replacement(text, match)
            if replaced is not None:
                parts += (text[copied : match.start()], replaced)
                copied = position
                number += 1
    return ("".join([*parts, text[copied:]]), number) if parts else (text, 0)


def _start_of_words(text: str, start: int) -> int:
    """Before the words that may precede a phone number, such as `pod numerem: `."""
    start = _start_of_word(text, max(0, start - _BETWEEN_WORD_AND_DIGITS))
    return _start_of_word(text, max(0, start - _LONGEST_FIRST_WORD))


def _start_of_word(text: str, position: int) -> int:
    while position and (text[position - 1].isalnum() or text[position - 1] == "_"):
        position -= 1
    return position
