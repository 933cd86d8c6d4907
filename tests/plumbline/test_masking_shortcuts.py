"""Masking looks only where its patterns can match; what it gives is what the patterns give over the whole text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from plumbline.data import masking
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.masking import mask_text

_WORDS = ["tel", "tel.", "telefon", "telefonicznie", "pod", "numer", "numerem", "nr", "kom", "komórka", "call", "us"]
_MORE_WORDS = ["on", "at", "phone", "fax", "sms", "ref", "REGON", "zł", "PLN", "x", "ą", "•", "_", ",", "€", ":"]
_NUMBERS = ["600", "100", "200", "00", "0048", "48", "22", "7592713", "1", "0", "000", "2021-07-19", "٣", "０", "𝟜"]
_SIGNS = ["+", "(", ")", "-", ".", "/", "–", " ", "  ", "\n", "\u00a0"]
_CONTACTS = ["a@b.pl", "jan", "(at)", "[małpa]", "firma.pl", "www.", "https://"]
_PIECES = [*_WORDS, *_MORE_WORDS, *_NUMBERS, *_NUMBERS, *_SIGNS, *_SIGNS, *_CONTACTS]
_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=16).map("".join)


def _plainly(text: str) -> tuple[str, Counter[str]]:
    """Every pattern over the whole text."""
    counts: Counter[str] = Counter()

    def counted(kind: str, replacement: Callable[[re.Match[str]], str | None]) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            found = replacement(match)
            if found is None:
                return match.group()
            counts[kind] += 1
            return found

        return replace

    def after_words(text: str) -> str:
        for start in range(1, len(text)):
            before = text[max(0, start - masking._LOOK_BACK) : start]
            match = masking._AFTER_WORD.match(text, start)
            if match is None or before[-1] not in masking._BEFORE_AFTER_WORD:
                continue
            if not masking._WORD_BEFORE.search(before.lower()) or masking._DATE.match(match.group()):
                continue
            if not masking._MONEY_AFTER.match(text, match.end()):
                counts["phone"] += 1
                return f"{text[: start - before.endswith('(')]}<phone>{after_words(text[match.end() :])}"
        return text

    def alone(match: re.Match[str]) -> str | None:
        return None if masking._is_other_number(match.string, *match.span()) else "<phone>"

    for _ in range(masking._ROUNDS):
        before = text
        text = masking._EMAIL.sub(counted("email", lambda _: "<email>"), text)
        text = masking._LINK.sub(counted("link", lambda _: "<link>"), text)
        text = masking._PHONE.sub(counted("phone", alone), after_words(text))
        if text == before:
            return text, counts
    text = masking._ANY_PHONE.sub(counted("phone", lambda _: "<phone>"), text)
    return masking._ANY_HOST.sub(counted("link", lambda _: "<link>"), text), counts


def _agree(text: str) -> None:
    counts: Counter[str] = Counter()
    assert (mask_text(text, counts), counts) == _plainly(text)


@given(_TEXTS)
@example("call us on (22) 100-20-30")
@example("pod numerem: +48 (600) 100 200, tel 600100200")
@example("٦٠٠ ١٠٠ ٢٠٠")
def test_on_pieces_of_contacts(text: str) -> None:
    _agree(text)


@given(st.text(st.one_of(st.characters(), st.sampled_from("0123456789+()-. @")), max_size=80))
def test_on_any_text(text: str) -> None:
    _agree(text)


def test_on_generated_postings() -> None:
    for frame in generate(GeneratorConfig(rows=500, weeks=4, companies=20)):
        for text in frame["description"]:
            _agree(text)


def test_on_real_postings(job_ads_file: Path) -> None:
    for text in pd.read_csv(job_ads_file, nrows=400)["job.description"].dropna():
        _agree(text)


def test_no_digit_of_any_script_is_overlooked() -> None:
    for number in range(0x110000):
        if (character := chr(number)).isdecimal():
            assert character.encode()[0] not in masking._NO_DIGITS, hex(number)
