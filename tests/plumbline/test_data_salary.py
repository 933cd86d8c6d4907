from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.data.salary import Salary, parse_salary


@pytest.mark.parametrize(
    ("text", "salary"),
    [
        ("4500 - 5500 zł / miesiąc", Salary(4500, 5500, "PLN", "month")),
        ("13 € / godzinę", Salary(13, 13, "EUR", "hour")),
        ("od 2800 zł UoP brutto/mies.", Salary(2800, None, "PLN", "month")),
        ("do 5000 zł", Salary(None, 5000, "PLN", None)),
        ("18,3 zł brutto / godz.", Salary(18.3, 18.3, "PLN", "hour")),
        (
            "umowa o pracę4 000-10 000 zł brutto / mies.kontrakt B2B100-125 zł netto (+ VAT) / godz.",
            Salary(4000, 10000, "PLN", "month"),
        ),
        ("kontrakt B2B9 000-11 000 zł netto (+ VAT) / mies.", Salary(9000, 11000, "PLN", "month")),
        ("18-48 zł UZ brutto/h18-48 zł B2B netto/h", Salary(18, 48, "PLN", "hour")),
        ("od 5000.00 PLN (za )", Salary(5000, None, "PLN", None)),
        ("6500.00 - 8000.00 PLN (za miesiąc netto)", Salary(6500, 8000, "PLN", "month")),
        ("2 500-3 800 EUR/m-c", Salary(2500, 3800, "EUR", "month")),
        ("US$50k - US$60k per year", Salary(50000, 60000, "USD", "year")),
        ("AUD$90,000 - AUD$115,000 per annum", Salary(90000, 115000, "AUD", "year")),
        ("A$45/hr", Salary(45, 45, "AUD", "hour")),
        ("$50,000 - $60,000 CAD a year", Salary(50000, 60000, "CAD", "year")),
        ("£30k-£35k p.a.", Salary(30000, 35000, "GBP", "year")),
        ("80 000 - 120 000 Kč", Salary(80000, 120000, "CZK", None)),
        ("35 000 Kč měsíčně", Salary(35000, 35000, "CZK", "month")),
        ("4 000 - 5 500 zł brutto / mies.", Salary(4000, 5500, "PLN", "month")),
        ("CHF 6'500.- monatlich", Salary(6500, 6500, "CHF", "month")),
        ("CHF 6’500.- bis 7’000.- pro Monat", Salary(6500, 7000, "CHF", "month")),
        ("R$ 3.500,00 por mês", Salary(3500, 3500, "BRL", "month")),
        ("R$ 3.500 a R$ 4.000 mensal", Salary(3500, 4000, "BRL", "month")),
        ("45.000 € brut annuel", Salary(45000, 45000, "EUR", "year")),
        ("SEK 30 000 - 34 000 per månad", Salary(30000, 34000, "SEK", "month")),
        ("₹ 50,000 per month", Salary(50000, 50000, "INR", "month")),
        ("$25/hr", None),
        ("30 000 kr i månaden", None),
        ("USD 100 - EUR 200", None),
        ("$25/hr or €20/hr", Salary(20, 20, "EUR", "hour")),
        ("5 days, try all", None),
        ("Competitive", None),
        ("£30,000", Salary(30000, 30000, "GBP", None)),
        ("5-7 tys. zł", Salary(5000, 7000, "PLN", None)),
        ("1.500 EUR", Salary(1500, 1500, "EUR", None)),
        ("Salary bonus: +12%", None),
        ("do uzgodnienia", None),
        ("3000 - 4000", None),
    ],
)
def test_salaries_as_boards_write_them(text: str, salary: Salary | None) -> None:
    assert parse_salary(text) == salary


def test_a_sign_of_several_currencies_is_the_one_that_the_mapping_says() -> None:
    assert parse_salary("$25/hr", "USD") == Salary(25, 25, "USD", "hour")
    assert parse_salary("30 000 kr", "NOK") == Salary(30000, 30000, "NOK", None)
    assert parse_salary("A$45/hr", "USD") == Salary(45, 45, "AUD", "hour")
    assert parse_salary("25 an hour", "USD") is None


@given(
    low=st.integers(10, 99_999),
    width=st.integers(0, 50_000),
    spaced=st.booleans(),
    period=st.sampled_from([("godz.", "hour"), ("mies.", "month"), ("rok", "year")]),
)
def test_a_range_is_read_back(low: int, width: int, spaced: bool, period: tuple[str, str]) -> None:
    def written(amount: int) -> str:
        return f"{amount:,}".replace(",", " ") if spaced else str(amount)

    text = f"{written(low)} - {written(low + width)} zł brutto/{period[0]}"
    assert parse_salary(text) == Salary(low, low + width, "PLN", period[1])


@given(st.text("0123456789 .,-złdook€k%B", max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    salary = parse_salary(text)
    assert salary is None or salary.currency is not None


@pytest.mark.parametrize("piece", ["1", " ", "1 ", "1 000", "od ", "1 - ", "zł", "1%"])
def test_no_text_takes_long(piece: str) -> None:
    start = time.process_time()
    parse_salary(piece * 50_000)
    assert time.process_time() - start < 1
