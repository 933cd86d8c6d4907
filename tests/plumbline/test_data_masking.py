from __future__ import annotations

import html
import re
import time
from collections import Counter

import pytest
from hypothesis import Phase, example, given, settings, target
from hypothesis import strategies as st

from plumbline.data.entities import without_entities
from plumbline.data.masking import mask_record, mask_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Pisz: a.b@c.com.pl lub zadzwoń 600 100 200.", "Pisz: <email> lub zadzwoń <phone>."),
        ("jan (at) firma.pl", "<email>"),
        ("tel. 22 100-20-30", "tel. <phone>"),
        ("kom: 0-600-100-200", "kom: <phone>"),
        ("Numer telefonu:601234567 wew. 23", "Numer telefonu:<phone> wew. 23"),
        ("pod nr 600-100-200", "pod nr <phone>"),
        ("telefon1 7592713, telefon2: 7592714", "telefon1 <phone>, telefon2: <phone>"),
        ("+48 600 100 200, +48600100200", "<phone>, <phone>"),
        ("0048 22 100 20 30", "<phone>"),
        ("(22) 100 20 30", "<phone>"),
        ("(212) 555-0100", "<phone>"),
        ("25 7592713 wew. 403", "<phone> wew. 403"),
        ("32-47-98-580", "<phone>"),
        ("600123456", "<phone>"),
        ("www.firma.pl/kariera.", "<link>."),
        ("(https://a.example/b?c=1)", "(<link>)"),
        ("na jobdesk.pl, dziś", "na <link>, dziś"),
        ("jobdesk.pl600 100 200 za 120 000 - 150 000 zł", "<link><phone> za 120 000 - 150 000 zł"),
    ],
)
def test_personal_details_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "zarobki 4 000 - 10 000 zł",
        "od 120 000 - 150 000 PLN",
        "premia do 150 000 000",
        "obrót 100 200 300 zł",
        "€ 100 200 300",
        "NIP 5261040828, REGON 012345678",
        "nr ref. 600123456",
        "REF 512345678",
        "certyfikat nr 12894",
        "2021-07-19 do 19.07.2021",
        "tel. 2021-07-19, tel. (2021-07-19)",
        "zmiany 6.00-14.00, 14.00-22.00",
        "Numer referencyjny: 2021/07/123",
        "01-513 Warszawa",
        "Dz. U. z 2016 r., poz. 922",
        "konto 12 1020 1026 0000 0422 7020 1111",
        "ASP.NET, Node.js, Socket.io, pracy.Do zadań",
        "24/7, 3-5 lat, C+E, 2x2",
    ],
)
def test_other_numbers_and_words_stay(text: str) -> None:
    assert mask_text(text) == text


def test_details_are_counted_by_kind() -> None:
    counts: Counter[str] = Counter()
    mask_text("a@b.pl, c@d.pl, tel. 600100200, www.x.pl", counts)
    assert counts == {"email": 2, "phone": 1, "link": 1}


def test_only_the_named_fields_of_a_record_are_masked() -> None:
    record: dict[str, object] = {"title": "a@b.pl", "company": "c@d.pl", "salary_min": 600100200.0}
    mask_record(record, ("title", "salary_min"), Counter())
    assert record == {"title": "<email>", "company": "c@d.pl", "salary_min": 600100200.0}


_pieces = st.one_of(
    st.sampled_from(
        ["tel. ", "600 100 200", "+48 ", "a@b.pl", " www.", "x.pl", "https://", "/", " zł", "nr ref. ", "22-"]
    ),
    st.sampled_from(
        ["&#64;", "&nbsp;", "&amp;", "amp;", "#48;", "+12345678", "600100200,5.pl", " eur.pl", "a@b.c.", "(at)"]
    ),
    st.text("0123456789 -.,@/<>aż", max_size=8),
)


@given(st.lists(_pieces, max_size=10).map("".join))
@example("x.pl600 100 200")
@example("x.plhttps://tel. ")
@example("600 100 200&#48;")
@example("600 100 200 eur.pl" * 5)
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


@given(st.integers(500_000_000, 799_999_999), st.sampled_from(["{} {} {}", "{}-{}-{}", "tel. {}{}{}", "+48 {} {} {}"]))
def test_no_form_of_a_mobile_number_stays(number: int, form: str) -> None:
    digits = str(number)
    if digits[3:] == "000000":
        return  # a round sum
    text = form.format(digits[:3], digits[3:6], digits[6:])
    assert digits[:3] not in mask_text(f"Kontakt: {text}.")


_CHAINS = ["+12345678", "600100200,5.pl", "600 100 200 eur.pl", "tel. 600100200", "id 600100200 ", "a1111111", "&#48;"]

MOST_GROWTH = 8
"""Of the processor time for a text of four times the length: 4 is linear, 16 quadratic."""


def growth(piece: str) -> float:
    """Of several tries the least, where the first grows much: others disturb."""

    def seconds(characters: int) -> float:
        hostile = f"x@y {piece * (characters // len(piece))} 6001002001 a.pl"
        start = time.process_time()
        mask_text(hostile)
        return time.process_time() - start

    def once() -> float:
        return seconds(100_000) / max(seconds(25_000), 0.002)

    return next((found for _ in range(5) if (found := once()) < MOST_GROWTH), MOST_GROWTH)


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a-", "1", "1 ", "1-", "(", "@", "a@", "www.", "https://", "tel. 1", " ", "a.pl/", *_CHAINS]
)
def test_masking_takes_linear_time(piece: str) -> None:
    assert growth(piece) < MOST_GROWTH


# Neither shrinking nor explaining, which traces each line: what is traced takes ten times as long.
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target])
@given(
    st.lists(st.sampled_from([*_CHAINS, "00", "1 ", "(", "+", "&", "amp;", ".", "a", "@", "ref", "zł"]), min_size=1)
    .map("".join)
    .filter(lambda piece: len(piece) <= 200)
)
def test_masking_takes_linear_time_for_whatever_a_search_finds(piece: str) -> None:
    found = growth(piece)
    target(found)
    assert found < MOST_GROWTH


@pytest.mark.parametrize("piece", _CHAINS[:4])
def test_chains_without_gaps_are_masked_to_their_end(piece: str) -> None:
    for times in (1, 2, 3, 7, 500):
        masked = mask_text(piece * times)
        assert not re.search(r"\d{6}|\.pl", masked), masked
        assert mask_text(masked) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to jobs&#64;acme.example.", "Write to <email>."),
        ("jobs&#x40;acme&period;example", "<email>"),
        ("jobs&commat;acme.example", "<email>"),
        ("jobs&amp;#64;acme.example", "<email>"),
        ("jobs&amp;amp;amp;amp;#38;#64;acme.example", "<email>"),
        ("call +48&nbsp;600&nbsp;100&nbsp;200", "call <phone>"),
        ("call +48&amp;nbsp;600&#160;100&#xA0;200 &amp; ask", "call <phone> & ask"),
        ("600&thinsp;100&#8239;200", "<phone>"),
        ("600&#8209;100&#8209;200", "<phone>"),
        ("&#54;&#48;&#48; 100 200", "<phone>"),
        ("https&#58;//acme.example", "<link>"),
        ("pay &nbsp;4&nbsp;000 &euro; &lt;gross&gt;, R&D", "pay &nbsp;4&nbsp;000 &euro; &lt;gross&gt;, R&D"),
        ("a@b.pl &amp; &nbsp;600 100 200", "<email> &amp; &nbsp;<phone>"),
    ],
)
def test_details_behind_entities_are_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@given(st.text("&#x3640;amplt@.b ", max_size=40))
def test_entities_are_read_to_their_end(text: str) -> None:
    read = without_entities(text)
    assert without_entities(read) == read
    assert html.unescape(read) == read
