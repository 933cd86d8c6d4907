"""Reads salaries from free text, as boards write them in Polish and English."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"\d{1,3}(?:[ \u00a0\u202f.,]\d{3})+(?:,\d{1,2}|\.\d{2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)"
_CURRENCY = r"zł(?:otych)?|pln|eur(?:o)?|€|usd|\$|gbp|£|chf|czk|kč"
_OFFER = re.compile(
    rf"(?P<before>{_CURRENCY})?\s*(?P<first>{_NUMBER})\s*(?P<first_thousands>tys\.?|k\b)?"
    rf"(?:\s*(?:{_CURRENCY})?\s*(?:-|–|—|\bdo\b|\bto\b)\s*(?:{_CURRENCY})?\s*(?P<second>{_NUMBER})\s*(?P<second_thousands>tys\.?|k\b)?)?"
    rf"\s*(?P<after>{_CURRENCY})?",
    re.IGNORECASE,
)
# A leading word decides which end a single amount is: "od 2800 zł" has no upper end, "do 5000 zł" no lower.
_FROM = re.compile(r"(?:\bod|\bfrom|\bmin\.?|\bpowyżej)\s*$", re.IGNORECASE)
_UP_TO = re.compile(r"(?:\bdo|\bup to|\bmax\.?|\bmaks\.?)\s*$", re.IGNORECASE)
_PERIODS = (
    ("hour", re.compile(r"/\s?h\b|\bgodz|\bhour|\bhr\b", re.IGNORECASE)),
    ("day", re.compile(r"\bdzień|\bdzien|\bdniówk|\bday|\bdaily", re.IGNORECASE)),
    ("week", re.compile(r"\btydz|\btyg|\bweek", re.IGNORECASE)),
    ("month", re.compile(r"\bmies|\bmonth|\bm-c|\bmc\b|\bmsc", re.IGNORECASE)),
    ("year", re.compile(r"\brok\b|\brocz|\byear|\bannum|\bp\.a\.", re.IGNORECASE)),
)
# Words with digits in them that are no amounts.
_NO_AMOUNT = re.compile(r"B2B|[+-]?\s?\d+(?:[.,]\d+)?\s?%|\d+/\d+ etatu", re.IGNORECASE)
_LONGEST = 1_000
"""Characters that are looked at; salaries of boards take at most a few hundred."""

_CODES = {"zł": "PLN", "złotych": "PLN", "€": "EUR", "euro": "EUR", "$": "USD", "£": "GBP", "kč": "CZK"}


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


def parse_salary(text: str) -> Salary | None:
    """Reads the first offer of a text; where a posting makes several (employment, B2B), the first stands.

    The currency and the period are those written with the offer. Nothing is converted.

    Returns:
        The offer, or None where the text has no amount with a currency.
    """
    plain = _NO_AMOUNT.sub(" ", " ".join(text.split())[:_LONGEST])
    offers = [match for match in _OFFER.finditer(plain) if match["before"] or match["after"]]
    if not offers:
        return None
    offer = offers[0]
    end = offers[1].start() if len(offers) > 1 else len(plain)
    first = _amount(offer["first"], offer["first_thousands"] or (offer["second"] and offer["second_thousands"]))
    second = _amount(offer["second"], offer["second_thousands"]) if offer["second"] else None
    low, high = (first, second) if second is not None else _ends(plain[: offer.start()], first)
    return Salary(low, high, _code(offer["before"] or offer["after"]), _period(plain[offer.end() : end]))


def _ends(before: str, amount: float) -> tuple[float | None, float | None]:
    if _UP_TO.search(before):
        return None, amount
    return amount, None if _FROM.search(before) else amount


def _amount(text: str, thousands: str | None) -> float:
    digits = re.sub(r"[ \u00a0\u202f]", "", text)
    for thousands_mark, decimal_mark in ((".", ","), (",", ".")):
        if re.fullmatch(rf"\d{{1,3}}(?:[{thousands_mark}]\d{{3}})+(?:[{decimal_mark}]\d+)?", digits):
            digits = digits.replace(thousands_mark, "")
    return float(digits.replace(",", ".")) * (1000.0 if thousands else 1.0)


def _code(currency: str) -> str:
    return _CODES.get(currency.lower(), currency.upper())


def _period(text: str) -> str | None:
    found = [(match.start(), name) for name, pattern in _PERIODS if (match := pattern.search(text))]
    return min(found)[1] if found else None
