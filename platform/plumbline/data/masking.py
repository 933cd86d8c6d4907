"""Masks e-mail addresses, phone numbers and links in text, and counts them.

What is masked becomes a placeholder (`<email>`, `<phone>`, `<link>`), so that a model may still see that there
was a contact. Numbers that are something else (salaries, dates, register and reference numbers) must stay: a
run of digits is a phone number only by its country code, by the grouping that phone numbers have, or by a word
such as "tel." before it. What stands behind HTML entities (`&#64;`, `&nbsp;`, `&amp;nbsp;`) is found as well; the text
is then given without its entities.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from plumbline.data.entities import without_entities

PLACEHOLDERS = ("<email>", "<phone>", "<link>")

MASKED_FIELDS: tuple[Literal["title", "description"], ...] = ("title", "description")
"""Fields that are masked unless a mapping says otherwise; serving masks the same ones."""

# Every pattern begins at a border or is bounded, and there are few rounds: no text takes more than time linear in its
# length.
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]+(?:@|\s?(?:\(at\)|\[at\]|\(małpa\)|\[małpa\])\s?)\w[\w-]*(?:\.\w[\w-]*)+", re.IGNORECASE
)

_AT_IN_WORDS = re.compile(r"[(\[](?:at|małpa)[)\]]", re.IGNORECASE)

# A bare host is a link only by an ending in small letters: "ASP.NET", "Node.js" and "pracy.Do" are words.
_ENDINGS = r"(?:pl|com|eu|org|info|co\.uk|de|example)"
_HOST = rf"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+{_ENDINGS}"
_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'|]*[^\s<>\"'|.,;:!?)\]}]"
    rf"|(?<![\w.@/-]){_HOST}(?![\w@-]|\.\w)(?:/[^\s<>\"'|]*[^\s<>\"'|.,;:!?)\]}}])?"
)

# Cheap signs without which the patterns themselves, which are expensive, cannot match.
_HOST_SIGN = re.compile(rf"\.{_ENDINGS}(?![\w@-])")
_SPACE = r" \u00a0\u00ad\u2000-\u200d\u202f\u2060"
"""Spaces of every width, none among them, and the hyphen that does not show."""

_SEPARATORS = rf"{_SPACE}.\-‐‑–/"
_RUN = rf"\d(?:[{_SEPARATORS}()]{{0,3}}\d){{6,}}"
_DIGITS = re.compile(_RUN)
"""Seven digits or more that belong together: a phone number has them, and all its digits lie in one such run."""

_NO_DIGITS = bytes(byte for byte in range(256) if byte not in b"0123456789" and not (byte >= 0xD9 and byte != 0xE2))
"""Bytes of UTF-8 with which no decimal digit of any script begins; those beyond ASCII begin at U+0660, and none of
them lies between U+2000 and U+2FFF, where dashes and bullets are."""

_GAP = rf"[{_SPACE}]"
_GAP_OR_DASH = rf"[{_SPACE}\-‐‑]"
_SEPARATOR = rf"[{_SEPARATORS}]"
_INTERNATIONAL = rf"(?<!\d)(?:\+|\b00){_GAP}?\(?[1-9]\d{{0,2}}\)?(?:{_SEPARATOR}?\(?\d{{1,4}}\)?){{2,6}}(?!\d)"
_GROUPED = (
    r"(?<![\d.,/\-–])(?:"
    rf"\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{3}}|\d{{3}}([.\-‐‑])\d{{3}}\1\d{{3}}"  # 600 100 200
    rf"|\(?0?\d{{2}}\)?{_GAP_OR_DASH}\d{{3}}{_GAP_OR_DASH}\d{{2}}{_GAP_OR_DASH}\d{{2}}"  # 22 100 20 30
    rf"|\(?\d{{2}}\)?{_GAP_OR_DASH}(?:\d{{7}}|\d{{3}}{_GAP_OR_DASH}\d{{4}}|\d{{2}}-\d{{2}}-\d{{3}})"  # 22 1002030
    rf"|\(\d{{3}}\){_GAP}?\d{{3}}{_GAP_OR_DASH}\d{{4}}|\d{{3}}-\d{{3}}-\d{{4}}"  # (212) 555-0100
    r"|(?:4[5]|5[0137]|6[069]|7[2389]|88)\d{7}"  # nine digits that begin as mobile numbers do
    r")(?!\d|[.,\-–/]\d)"
)
_PHONE = re.compile(rf"{_INTERNATIONAL}|{_GROUPED}")
_AFTER_WORD = re.compile(rf"\d(?:{_SEPARATOR}?\(?\d\)?){{6,11}}(?!\d)")
_GLUED = re.compile(r"\d+[\s.(]{0,3}(?=\d)")
"""Digits that belong to the word before them, as in "telefon1 22 100 20 30"."""

_WORD_BEFORE = re.compile(
    r"\b(?:tel(?:efon\w*)?|phone|mobile|kom(?:órk\w*)?|fax|faks|call(?: us)?|zadzwoń|dzwoń|dzwonić|sms"
    r"|pod (?:numer\w*|nr))\b[.:]{0,2}\s{0,2}(?:pod |nr\.? |at |on )?\(?$"
)
"""Ends where the digits begin, in small letters."""

# What follows a sum of money, and what precedes a number in a register.
_MONEY_AFTER = re.compile(r"\s{0,2}(?:zł|pln|eur|€|\$|usd|gbp|£|tys|mln|brutto|netto|%)", re.IGNORECASE)
_REGISTER_BEFORE = re.compile(
    r"\b(?:ref\w*|regon|nip|krs|kraz|id|certyfikat\w*|sygnatur\w*|numer(?:em)? oferty|konto)[\s.:#/nr]{0,6}$"
)
_ROUND_SUM = re.compile(rf"000[{_SPACE}.]000$")
_MONEY_BEFORE = re.compile(r"[€$£]\s?$")
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}")
_FEWEST_DIGITS = 7

# Characters that are looked at around a run of digits, at most.
_LOOK_BACK = 48
_REGISTER_BACK = 24
_BEFORE_DIGITS = 3  # "+ ("
_AFTER_DIGITS = 4  # ")", and what must not follow
_LOOK_AHEAD = 12  # the same, then a gap and "brutto"
_BEFORE_AFTER_WORD = frozenset(".:( \t\n\r\u00a0")
"""Characters of which one stands between such a word and the digits."""

_ROUNDS = 3
"""Rounds of masking until nothing changes. What is masked may uncover its neighbour: "a.pl600 100 200" takes two."""

_ANY_PHONE = re.compile(rf"(?:\+{_GAP}?)?\(?{_RUN}\)?")
_ANY_HOST = re.compile(rf"(?<![A-Za-z0-9.-]){_HOST}")

_HIDING = re.compile(r"&(?:#|(?!nbsp;?(?:\s|$))[A-Za-z])")
"""An entity that may be part of a contact; boards leave many a `&nbsp` before a gap, which is not."""

_Finder = Callable[[str, re.Match[str], int], list[tuple[int, int]]]
"""Phone numbers of a run of `_DIGITS` in a text, by begin and end; none begins before the last argument."""

_Surroundings = set[tuple[int, str]]
"""Runs of digits with what a `_Finder` looks at around them, and where in it the digits begin."""


def mask_text(text: str, counts: Counter[str] | None = None) -> str:
    """The text with e-mail addresses, phone numbers and links replaced by placeholders.

    Masking twice is masking once. The time is linear in the length of the text.

    Args:
        text: Any text.
        counts: Is added to, by kind: `email`, `phone`, `link`.
    """
    if "&" not in text or not _HIDING.search(text) or (plain := without_entities(text)) == text:
        return _mask_plain(text, counts)
    kept, read = Counter[str](), Counter[str]()
    masked, uncovered = _mask_plain(text, kept), _mask_plain(plain, read)
    hides_nothing = without_entities(masked) == uncovered
    if counts is not None:
        counts.update(kept if hides_nothing else read)
    return masked if hides_nothing else uncovered


def mask_record(record: dict[str, object], fields: Iterable[str], counts: Counter[str]) -> None:
    """Masks some fields of a record in place; values that are not text stay."""
    for name in fields:
        value = record.get(name)
        if isinstance(value, str):
            record[name] = mask_text(value, counts)


def _mask_plain(text: str, counts: Counter[str] | None) -> str:
    finders: list[tuple[_Finder, _Surroundings]] = [(_after_words, set()), (_alone, set())]
    for _ in range(_ROUNDS):
        masked = _mask_once(text, counts, finders)
        if masked == text:
            return text
        text = masked
    # Each round uncovers more, as only a chain of contacts without gaps does. Without the conditions on what stands
    # around and beside them, nothing is left that a further round could find.
    text = _replace(_ANY_PHONE, "phone", text, counts)
    return _replace(_ANY_HOST, "link", text, counts)


def _replace(pattern: re.Pattern[str], kind: str, text: str, counts: Counter[str] | None) -> str:
    text, number = pattern.subn(f"<{kind}>", text)
    _count(counts, kind, number)
    return text


def _count(counts: Counter[str] | None, kind: str, number: int) -> None:
    if counts is not None and number:
        counts[kind] += number


def _mask_once(text: str, counts: Counter[str] | None, finders: Iterable[tuple[_Finder, _Surroundings]]) -> str:
    if "@" in text or (("(" in text or "[" in text) and _AT_IN_WORDS.search(text)):
        text = _replace(_EMAIL, "email", text, counts)
    if "://" in text or "www." in text or _HOST_SIGN.search(text):
        text = _replace(_LINK, "link", text, counts)
    if len(text.encode("utf-8", "surrogatepass").translate(None, _NO_DIGITS)) < _FEWEST_DIGITS:
        return text
    for find, without in finders:
        text, number = _replace_near_digits(text, find, without)
        _count(counts, "phone", number)
    return text


def _replace_near_digits(text: str, find: _Finder, without: _Surroundings) -> tuple[str, int]:
    """Replaces phone numbers, looking only where digits are: the patterns are expensive at every other place.

    Args:
        text: Text.
        find: Finds them.
        without: Runs of digits without any, as they stood in an earlier round. They are not looked at again.
    """
    parts: list[str] = []
    copied = 0
    for run in _DIGITS.finditer(text):
        begin = max(0, run.start() - _LOOK_BACK)
        seen = (run.start() - begin, text[begin : run.end() + _LOOK_AHEAD])
        if seen in without:
            continue
        found = find(text, run, copied)
        if not found and copied <= run.start() - _BEFORE_DIGITS:
            without.add(seen)
        for start, end in found:
            parts += (text[copied:start], "<phone>")
            copied = end
    return ("".join([*parts, text[copied:]]), len(parts) // 2) if parts else (text, 0)


def _after_words(text: str, run: re.Match[str], _earliest: int) -> list[tuple[int, int]]:
    start = run.start()
    before = text[start - 1 : start]
    if (before.isalpha() or before == "_") and (glued := _GLUED.match(text, start)):
        start = glued.end()
    if text[start - 1 : start] not in _BEFORE_AFTER_WORD:
        return []
    if not _WORD_BEFORE.search(text[max(0, start - _LOOK_BACK) : start].lower()):
        return []
    match = _AFTER_WORD.match(text, start, run.end() + _AFTER_DIGITS)
    if match and not _DATE.match(match.group()) and not _MONEY_AFTER.match(text, match.end()):
        return [(start - (text[start - 1] == "("), match.end())]
    return []


def _alone(text: str, run: re.Match[str], earliest: int) -> list[tuple[int, int]]:
    found = []
    position, end = max(earliest, run.start() - _BEFORE_DIGITS), run.end() + _AFTER_DIGITS
    while match := _PHONE.search(text, position, end):
        start, position = match.span()
        if not _is_other_number(text, start, position):
            found.append((start, position))
    return found


def _is_other_number(text: str, start: int, end: int) -> bool:
    number = text[start:end]
    if _MONEY_AFTER.match(text, end) or _MONEY_BEFORE.search(text, max(0, start - 2), start):
        return True
    if _DATE.search(number) or _ROUND_SUM.search(number):
        return True
    if number.startswith(("+", "00")):
        return not 8 <= sum(map(str.isdigit, number)) <= 15
    return _REGISTER_BEFORE.search(text[max(0, start - _REGISTER_BACK) : start].lower()) is not None
