from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from posting_rows import START

from plumbline.data.contract import POSTING_COLUMNS, PostingRequest
from plumbline.data.mapping import RowMapper, contract_mapping, load_mapping
from plumbline.data.mapping.load import parse_mapping
from plumbline.data.mapping.rows import Problem
from plumbline.errors import MappingError, MissingInputError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEN = datetime(2026, 1, 6, 10, tzinfo=UTC)
COLUMNS = ("no", "when", "where", "what", "text", "kind", "level", "pay", "code")


def content(**fields: Any) -> dict[str, Any]:
    base = {"posting_id": "no", "event_timestamp": "when", "board": "where", "title": "what", "description": "text"}
    return {"fields": base | fields}


def read(row: dict[str, str | None], **fields: Any) -> tuple[dict[str, Any], list[Problem]]:
    mapper = RowMapper(parse_mapping(content(**fields), "test"), COLUMNS, 7.0)
    return mapper.record({"no": "1", "when": "2026-01-05", "where": "b", "what": "t", "text": "d"} | row, 0)


def test_the_examples_load_and_read_what_they_say() -> None:
    ads = load_mapping(EXAMPLES / "job_ads_pl.yaml")
    assert ads.columns["kod zawodu"] == "label"
    assert ads.class_names["9"] == "Elementary occupations"
    assert ads.class_names.keys() == set(ads.fields.label.allowed)
    assert load_mapping(EXAMPLES / "emscad.yaml").columns["fraudulent"] == "label"


@pytest.mark.parametrize(
    ("kind", "contract", "employment_type"),
    [
        ("pełny etat", "kontrakt B2B", "full_time"),
        ("część etatu", "", "part_time"),
        ("stała", "umowa o pracę", None),
        ("", "umowa zlecenie, kontrakt B2B", "contract"),
        ("tymczasowa/dodatkowa", "umowa zlecenie", "temporary"),
        ("pełny etat", "umowa o staż / praktyki", "internship"),
        ("inna", "", "other"),
        ("", "", None),
    ],
)
def test_polish_kinds_of_employment(kind: str, contract: str, employment_type: str | None) -> None:
    mapping = load_mapping(EXAMPLES / "job_ads_pl.yaml")
    mapper = RowMapper(mapping, (*mapping.columns, *mapping.ignored), 7.0)
    record, _ = mapper.record({"job.type": kind, "contract.type": contract}, 0)
    assert record["employment_type"] == employment_type


@pytest.mark.parametrize(
    ("level", "seniority"),
    [
        ("specjalista (Mid / Regular)", "mid"),
        ("specjalista (Mid / Regular), starszy specjalista (Senior)", None),
        ("specjalista junior / mid / senior", None),
        ("starszy specjalista (Senior), ekspert", "senior"),
        ("młodszy specjalista (Junior)", "junior"),
        ("kierownik / koordynator, menedżer", "lead"),
        ("praktykant / stażysta", "intern"),
        ("dyrektor", "executive"),
        ("pracownik fizyczny", None),
        ("Szczegóły ogłoszenia", None),
    ],
)
def test_polish_levels(level: str, seniority: str | None) -> None:
    mapping = load_mapping(EXAMPLES / "job_ads_pl.yaml")
    mapper = RowMapper(mapping, (*mapping.columns, *mapping.ignored), 7.0)
    record, _ = mapper.record({"position.level": level}, 0)
    assert record["seniority"] == seniority
    assert not mapper.unmapped["seniority"]


def test_columns_are_joined_or_taken_in_turn() -> None:
    record, _ = read(
        {"kind": " a ", "level": "b"}, category={"columns": ["kind", "level"], "combine": "join", "separator": "+"}
    )
    assert record["category"] == "a+b"
    record, _ = read({"kind": "N/A", "level": "b"}, category={"columns": ["kind", "level"], "missing": ["N/A"]})
    assert record["category"] == "b"
    record, _ = read({}, language={"constant": "pl"})
    assert record["language"] == "pl"


@pytest.mark.parametrize(
    ("source", "text", "instant"),
    [
        ("when", "2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("when", "2026-01-05T10:00:00+02:00", datetime(2026, 1, 5, 8, tzinfo=UTC)),
        ("when", "2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        (
            {"column": "when", "format": "%d.%m.%Y", "timezone": "Europe/Warsaw"},
            "05.07.2026",
            datetime(2026, 7, 4, 22, tzinfo=UTC),
        ),
        (
            {"column": "when", "format": "%d.%m.%Y", "timezone": "Europe/Warsaw"},
            "05.01.2026",
            datetime(2026, 1, 4, 23, tzinfo=UTC),
        ),
        ({"constant": "2026-01-05T00:00:00Z"}, "", datetime(2026, 1, 5, tzinfo=UTC)),
        *(
            ({"column": "when", "format": form, "timezone": "Europe/Warsaw"}, text, TEN)
            for form, text in [
                ("rfc2822", "Tue, 06 Jan 2026 10:00:00 GMT"),
                ("rfc2822", "Tue, 06 Jan 2026 05:00:00 EST"),
                ("%a, %d %b %Y %H:%M:%S %Z", "Tue, 06 Jan 2026 10:00:00 GMT"),
                ("%a, %d %b %Y %H:%M:%S GMT", "Tue, 06 Jan 2026 10:00:00 GMT"),
                ("%d.%m.%Y %H:%M %z", "06.01.2026 11:00 +0100"),
                ("%d.%m.%Y %H:%M", "06.01.2026 11:00"),
                ("epoch", "1767693600000"),
                ("epoch", "1767693600"),
                (["iso", "%d/%m/%Y %H:%M", "epoch"], "06/01/2026 11:00"),
                (["iso", "%d/%m/%Y %H:%M", "epoch"], "1767693600.0"),
            ]
        ),
    ],
)
def test_times_become_utc(source: Any, text: str, instant: datetime) -> None:
    record, problems = read({"when": text}, event_timestamp=source)
    assert (record["event_timestamp"], problems) == (instant, [])


@pytest.mark.parametrize(
    ("text", "advised"),
    [
        ("1767693600000", "epoch"),
        ("Tue, 06 Jan 2026 10:00:00 GMT", "rfc2822"),
        ("06/01/2026", "%d/%m/%Y"),
        ("30+ days ago", "relative"),
    ],
)
def test_a_time_in_another_form_is_refused_with_the_format_that_reads_it(text: str, advised: str) -> None:
    _, (problem,) = read({"when": text})
    assert problem.field == "event_timestamp"
    assert advised in problem.reason
    source = {"column": "when", "format": advised}
    record, problems = read({"when": text, "level": "2026-02-05"}, event_timestamp=source, collected_at="level")
    assert problems == []
    assert datetime(2026, 1, 6, tzinfo=UTC) <= record["event_timestamp"] <= TEN


def test_a_zone_that_only_this_machine_knows_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    source = {"column": "when", "format": "%d.%m.%Y %H:%M %Z"}
    try:
        monkeypatch.setenv("TZ", "Europe/Warsaw")
        time.tzset()
        assert time.strptime("CET", "%Z").tm_zone is not None  # the machine does know it
        _, problems = read({"when": "06.01.2026 11:00 CET"}, event_timestamp=source)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [problem.field for problem in problems] == ["event_timestamp"]


@given(st.integers(946_684_800, 20_000_000_000 - 1), st.booleans())
def test_numbers_are_the_same_instants_in_files_and_over_http(seconds: int, milliseconds: bool) -> None:
    assume(seconds < START.timestamp())
    number = seconds * 1000 if milliseconds else seconds
    record, _ = read({"when": str(number)}, event_timestamp={"column": "when", "format": "epoch"})
    sent = PostingRequest(posting_id="1", event_timestamp=number, board="b", title="t", description="d")
    assert record["event_timestamp"] == sent.event_timestamp


def test_made_up_times_follow_the_rows() -> None:
    mapping = parse_mapping(
        content(event_timestamp={"sequence": {"start": "2026-01-05T00:00:00Z", "step_minutes": 60}}), "test"
    )
    mapper = RowMapper(mapping, COLUMNS, 7.0)
    times = [mapper.record({}, number)[0]["event_timestamp"] for number in range(3)]
    assert times == [datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in range(3)]


@pytest.mark.parametrize(
    ("row", "fields", "problem"),
    [
        ({"when": "5 January"}, {}, Problem("event_timestamp", "not a time in the mapping's format")),
        ({"pay": "much"}, {"salary_min": "pay"}, Problem("salary_min", "not a number")),
        ({"code": "x1"}, {"label": {"column": "code", "parser": "integer"}}, Problem("label", "not a whole number")),
        (
            {"code": "021103"},
            {"label": {"column": "code", "parser": "integer", "divide_by": 100000, "allowed": ["1", "2"]}},
            Problem("label", "outside the allowed codes"),
        ),
        (
            {"kind": "gig"},
            {"employment_type": {"column": "kind", "values": [{"match": "full", "value": "full_time"}]}},
            Problem("employment_type", "no rule of the value map fits"),
        ),
    ],
)
def test_what_cannot_be_read_is_a_problem_and_not_a_guess(row: Any, fields: Any, problem: Problem) -> None:
    _, problems = read(row, **fields)
    assert problems == [problem]


def test_unmapped_texts_may_be_let_go_and_are_counted() -> None:
    rule = {"column": "kind", "values": [{"match": "^full$", "value": "full_time"}], "otherwise": "null"}
    mapper = RowMapper(parse_mapping(content(employment_type=rule), "test"), COLUMNS, 7.0)
    kinds = [mapper.record({"kind": kind}, 0)[0]["employment_type"] for kind in ("FULL", "gig", "gig", "")]
    assert kinds == ["full_time", None, None, None]
    assert mapper.unmapped["employment_type"] == {"gig": 2}


def test_salaries_in_free_text_fill_four_fields() -> None:
    mapper = RowMapper(parse_mapping(content(salary="pay"), "test"), COLUMNS, 7.0)
    record, _ = mapper.record({"pay": "od 20 zł/h"}, 0)
    assert (record["salary_min"], record["salary_max"], record["currency"], record["period"]) == (
        20.0,
        None,
        "PLN",
        "hour",
    )
    assert "salary_min" not in mapper.record({"pay": "do uzgodnienia"}, 0)[0]
    assert mapper.unparsed == {"salary": 1}


@given(st.integers(100_000, 999_999), st.sampled_from(["{}", "{}.0", " {} ", "{}."]))
def test_the_first_digit_of_a_code_is_its_label(code: int, form: str) -> None:
    record, problems = read(
        {"code": form.format(code)}, label={"column": "code", "parser": "integer", "divide_by": 100000, "delay_days": 3}
    )
    assert (record["label"], problems) == (str(code)[0], [])
    assert record["label_timestamp"] - record["event_timestamp"] == timedelta(days=3)


def test_codes_have_names_whether_yaml_reads_them_as_text_or_as_numbers() -> None:
    label = {"column": "code", "class_names": {1: "Managers", "2": "Professionals"}}
    assert parse_mapping(content(label=label), "test").class_names == {"1": "Managers", "2": "Professionals"}
    assert parse_mapping(content(), "test").class_names == {}


def test_label_times_come_from_the_mapping_the_setting_or_a_column() -> None:
    record, _ = read({"code": "1"}, label="code")
    assert record["label_timestamp"] == datetime(2026, 1, 12, tzinfo=UTC)
    in_column = {"column": "code", "timestamp": {"column": "level"}}
    record, _ = read({"code": "1", "level": "2026-02-01"}, label=in_column)
    assert record["label_timestamp"] == datetime(2026, 2, 1, tzinfo=UTC)
    record, _ = read({"code": ""}, label="code")
    assert (record["label"], record.get("label_timestamp")) == (None, None)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"company": {"colunm": "x"}}, "fields.company.colunm does not exist. Did you mean column?"),
        ({"titel": "x"}, "fields.titel does not exist. Did you mean title?"),
        ({"label": {"column": "x", "delay_day": 1}}, "Did you mean delay_days?"),
        ({"label": {"column": "x", "divide_by": 10}}, "needs parser: integer"),
        ({"label": {"column": "x", "class_name": {}}}, "Did you mean class_names?"),
        ({"label": {"column": "x", "allowed": ["1"], "class_names": {"2": "Two"}}}, "class_names has 2, which allowed"),
        ({"label": {"column": "x", "delay_days": 1, "timestamp": {"column": "y"}}}, "not both"),
        ({"salary": "x", "currency": "y"}, "not both"),
        ({"company": {"column": "x", "constant": "y"}}, "exactly one of column, columns, constant"),
        ({"company": {}}, "exactly one of"),
        ({"category": {"column": "x", "values": [{"match": "(", "value": "y"}]}}, "not a regular expression"),
        ({"category": {"column": "x", "values": [{"mach": "a", "value": "y"}]}}, "Did you mean match?"),
        ({"event_timestamp": {"column": "x", "timezone": "Europe/Warszawa"}}, "Europe/Warsaw"),
        ({"event_timestamp": {"column": "x", "format": "iso8601"}}, "iso, epoch, rfc2822, relative or one such as"),
        ({"event_timestamp": {"column": "x", "format": "relative"}}, "needs collected_at"),
        ({"board": None}, "fields.board has a wrong value"),
    ],
)
def test_wrong_mappings_are_refused_with_a_hint(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MappingError) as error:
        parse_mapping(content(**changed), "mapping.yaml")
    assert sentence in str(error.value)


def test_a_missing_key_is_named() -> None:
    broken = content()
    del broken["fields"]["title"]
    with pytest.raises(MappingError, match=r"fields\.title is missing"):
        parse_mapping(broken, "mapping.yaml")
    with pytest.raises(MappingError, match=r"Did you mean fields\?"):
        parse_mapping({"feilds": {}, **content()}, "mapping.yaml")


def test_a_mapped_column_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(MappingError, match=r"no column codes, which the mapping reads for label\. Did you mean code\?"):
        RowMapper(parse_mapping(content(label="codes"), "test"), COLUMNS, 7.0)


def test_files_that_are_no_mappings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none\.yaml"):
        load_mapping(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("fields: [")
    with pytest.raises(MappingError, match="not YAML"):
        load_mapping(tmp_path / "broken.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(MappingError, match="should be a mapping of keys to values"):
        load_mapping(tmp_path / "list.yaml")


def test_the_schema_diff_names_new_and_lost_columns() -> None:
    mapping = parse_mapping({**content(), "ignored": ["kind", "gone"]}, "test")
    diff = RowMapper(mapping, ("no", "when", "where", "what", "text", "kind", "extra"), 7.0).schema_diff
    assert (diff.new, diff.missing) == (("extra",), ("gone",))


def test_a_file_with_the_contracts_columns_needs_no_mapping() -> None:
    mapping = contract_mapping(POSTING_COLUMNS)
    assert mapping.fields.label is not None
    assert mapping.fields.label.timestamp is not None
    assert set(mapping.columns) == set(POSTING_COLUMNS)
    with pytest.raises(MappingError, match="no column board"):
        contract_mapping([name for name in POSTING_COLUMNS if name != "board"])


@pytest.mark.parametrize("wrong", ["%Q", "%d.%m.%", "%-d.%m.%Y"])
def test_a_format_that_strptime_does_not_know(wrong: str) -> None:
    fields = {"posting_id": "id", "event_timestamp": {"column": "date", "format": wrong}, "board": {"constant": "b"}}
    mapping = {"fields": fields | {"title": "title", "description": "text"}}
    with pytest.raises(MappingError, match="is not a format of strptime"):
        parse_mapping(mapping, "test")
