from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
        "tel. 2021-07-19",
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
    st.text("0123456789 -.,@/<>aż", max_size=8),
)


@given(st.lists(_pieces, max_size=10).map("".join))
@example("x.pl600 100 200")
@example("x.plhttps://tel. ")
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


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "a-",
        "1",
        "1 ",
        "1-",
        "+1 ",
        "(",
        "@",
        "a@",
        "www.",
        "https://",
        "tel. ",
        "tel. 1",
        " ",
        "600 100 ",
        "a.pl/",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    hostile = piece * (100_000 // len(piece))
    start = time.process_time()
    mask_text(f"x@y {hostile} 6001002001 a.pl")
    assert time.process_time() - start < 3
