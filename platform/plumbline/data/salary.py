"""Reads salaries from free text, as boards write them in Polish and English."""

from __future__ import annotations

import re
from dataclasses import dataclass

_GROUP = r"[ \u00a0\u202f.,'’]"
_NUMBER = rf"\d{{1,3}}(?:{_GROUP}\d{{3}})+(?:,\d{{1,2}}|\.\d{{2}})?(?!\d)|\d+(?:[.,]\d{{1,2}})?(?!\d)"
_CODES = (
    "AED|AUD|BGN|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|ILS|INR|ISK|JPY|KRW|MXN|NOK|NZD|PLN|RON|SAR|SEK|SGD|THB|TWD"
    "|UAH|USD|VND|ZAR"
)
_SIGNS = {
    "au$": "AUD", "a$": "AUD", "ca$": "CAD", "c$": "CAD", "hk$": "HKD", "mx$": "MXN", "nt$": "TWD", "nz$": "NZD",
    "r$": "BRL", "s$": "SGD", "us$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "₴": "UAH", "₪": "ILS", "₩": "KRW",
    "złotych": "PLN", "zł": "PLN", "euro": "EUR", "kč": "CZK",
}  # fmt: skip
_SHARED = frozenset({"$", "kr", "¥"})
"""Signs of several currencies. Which one is meant, a mapping says or nobody."""

_DOLLARS = "|".join(re.escape(sign) for sign in _SIGNS if "$" in sign)
_CURRENCY = (
    rf"(?:(?<![A-Za-z])(?:(?-i:{_CODES})(?![a-z])(?:\s?\$)?|{_DOLLARS})"
    r"|zł(?:otych)?|pln|euro?|usd|gbp|chf|czk|kč|\bkr\b|[€$£¥₹₴₪₩])"
)
_THOUSANDS = r"tys\.?|k\b"
_DASHES = r"(?:[.,]\s?[-–—]{1,2}(?!\s?\d))?"  # "6'500.-" is a whole number
_TO = r"-|–|—|\b(?:do|to|bis|até|hasta|til|à|a)\b"
_OFFER = re.compile(
    rf"(?P<before>{_CURRENCY})?\s*(?P<first>{_NUMBER}){_DASHES}\s*(?P<first_thousands>{_THOUSANDS})?"
    rf"(?:\s*(?P<between>{_CURRENCY})?\s*(?:{_TO})\s*(?P<second_before>{_CURRENCY})?\s*(?P<second>{_NUMBER}){_DASHES}"
    rf"\s*(?P<second_thousands>{_THOUSANDS})?)?\s*(?P<after>{_CURRENCY})?",
    re.IGNORECASE,
)
_WRITTEN = ("before", "between", "second_before", "after")
# A leading word decides which end a single amount is: "od 2800 zł" has no upper end, "do 5000 zł" no lower.
_FROM = re.compile(r"(?:\bod|\bfrom|\bmin\.?|\bpowyżej)\s*$", re.IGNORECASE)
_UP_TO = re.compile(r"(?:\bdo|\bup to|\bmax\.?|\bmaks\.?)\s*$", re.IGNORECASE)
_PERIODS = tuple(
    (name, re.compile("|".join(words), re.IGNORECASE))
    for name, words in (
        ("hour", (r"/\s?h\b|\bgodz|\bhour|\bhr\b", r"\bstunde|\bstd\b|\bheure|\bhora\b|\btim(?:m?e|en)\b|\bhod")),
        ("day", (r"\bdzień|\bdzien|\bdniówk|\bday|\bdaily", r"\btag\b|\btäglich|\bjour\b|\bd[ií]a\b")),
        ("week", (r"\btydz|\btyg|\bweek", r"\bwoche|\bwöchentlich|\bsemain|\bseman")),
        (
            "month",
            (
                r"\bmies|\bmonth|\bm-c|\bmc\b|\bmsc",
                r"\bmonat|\bmois\b|\bmens(?:al|ual|uel|ile)|\bm[êe]s\b|\bmånad|\bměs",
            ),
        ),
        (
            "year",
            (
                r"\brok\b|\brocz|\byear|\bannum|\bannual|\bp\.\s?a\.",
                r"\bročn|\bannuel|\bpar an\b|\bjahr|\bjährlich|\banual|\bano\b|\baño|\bår\b",
            ),
        ),
    )
)
# Words with digits in them that are no amounts.
_NO_AMOUNT = re.compile(r"B2B|[+-]?\s?\d+(?:[.,]\d+)?\s?%|\d+/\d+ etatu", re.IGNORECASE)
_LONGEST = 1_000
"""Characters that are looked at; salaries of boards take at most a few hundred."""


@dataclass(frozen=True)
class Salary:
    """What a text says about pay.

    Attributes:
        low: Lower end; None where only an upper end is given.
        high: Upper end; None where only a lower end is given.
        currency: ISO 4217 code, or None.
        period: `hour`, `day`, `week`, `month`, `year`, or None where the text does not say.
    """

    low: float | None
    high: float | None
    currency: str | None
    period: str | None


def parse_salary(text: str, currency: str | None = None) -> Salary | None:
    """Reads the first offer of a text; where a posting makes several (employment, B2B), the first stands.

    The currency and the period are those written with the offer. Nothing is converted, and nothing is guessed.

    Args:
        text: Text.
        currency: ISO 4217 code of a sign that several currencies share: `$`, `kr`, `¥`.

    Returns:
        The offer, or None where the text has no amount with one currency.
    """
    plain = _NO_AMOUNT.sub(" ", " ".join(text.split())[:_LONGEST])
    offers = [match for match in _OFFER.finditer(plain) if any(match[name] for name in _WRITTEN)]
    ends = [*(offer.start() for offer in offers[1:]), len(plain)]
    for offer, end in zip(offers, ends, strict=False):
        code = _code([written for name in _WRITTEN if (written := offer[name])], currency)
        if code is None:
            continue
        first = _amount(offer["first"], offer["first_thousands"] or (offer["second"] and offer["second_thousands"]))
        second = _amount(offer["second"], offer["second_thousands"]) if offer["second"] else None
        low, high = (first, second) if second is not None else _ends(plain[: offer.start()], first)
        return Salary(low, high, code, _period(plain[offer.end() : end]))
    return None


def _ends(before: str, amount: float) -> tuple[float | None, float | None]:
    if _UP_TO.search(before):
        return None, amount
    return amount, None if _FROM.search(before) else amount


def _amount(text: str, thousands: str | None) -> float:
    digits = re.sub(r"[ \u00a0\u202f'’]", "", text)
    for thousands_mark, decimal_mark in ((".", ","), (",", ".")):
        if re.fullmatch(rf"\d{{1,3}}(?:[{thousands_mark}]\d{{3}})+(?:[{decimal_mark}]\d+)?", digits):
            digits = digits.replace(thousands_mark, "")
    return float(digits.replace(",", ".")) * (1000.0 if thousands else 1.0)


def _code(written: list[str], shared: str | None) -> str | None:
    """The one currency that is written, None where there are several."""
    signs = {each.lower() for each in written} - _SHARED
    codes = {_SIGNS.get(sign, sign[:3].upper()) for sign in signs}
    return codes.pop() if len(codes) == 1 else None if codes else shared


def _period(text: str) -> str | None:
    found = [(match.start(), name) for name, pattern in _PERIODS if (match := pattern.search(text))]
    return min(found)[1] if found else None
