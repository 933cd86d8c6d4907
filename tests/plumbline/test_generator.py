from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from plumbline.data.contract import Posting
from plumbline.data.frames import to_table
from plumbline.data.generator import GeneratorConfig, generate, raw_rows
from plumbline.data.generator.companies import found_companies
from plumbline.data.generator.vocabulary import surroundings, vocabulary
from plumbline.data.masking import mask_text

CONFIG = GeneratorConfig(rows=6_000, seed=11)


@pytest.fixture(scope="module")
def stream() -> pd.DataFrame:
    return pd.concat(list(generate(CONFIG)), ignore_index=True)


def test_the_same_seed_makes_the_same_postings() -> None:
    config = GeneratorConfig(rows=500, seed=4)
    first = pd.concat(list(generate(config)), ignore_index=True)
    assert first.equals(pd.concat(list(generate(config)), ignore_index=True))
    other = pd.concat(list(generate(config.model_copy(update={"seed": 5}))), ignore_index=True)
    assert not first.title.equals(other.title)
    assert list(raw_rows(config)) == list(raw_rows(config))


def test_the_size_of_the_frames_changes_nothing(stream: pd.DataFrame) -> None:
    small = pd.concat(list(generate(CONFIG.model_copy(update={"chunk_rows": 37}))), ignore_index=True)
    assert small.equals(stream)


@pytest.mark.parametrize(("rows", "weeks"), [(1, 1), (7, 26), (1_000, 3), (2_500, 60)])
def test_there_are_as_many_postings_as_asked_for(rows: int, weeks: int) -> None:
    frames = list(generate(GeneratorConfig(rows=rows, weeks=weeks, chunk_rows=100)))
    assert sum(map(len, frames)) == rows
    assert max(map(len, frames)) <= 100


def test_every_posting_keeps_the_contract(stream: pd.DataFrame) -> None:
    for record in to_table(stream).slice(0, 1_500).to_pylist():
        Posting.model_validate(record)
    assert stream.posting_id.is_unique


def test_the_stream_is_in_the_order_of_time_and_fills_its_weeks(stream: pd.DataFrame) -> None:
    assert stream.event_timestamp.is_monotonic_increasing
    weeks = (stream.event_timestamp - CONFIG.start) // timedelta(days=7)
    assert sorted(weeks.unique()) == list(range(26))
    assert weeks.value_counts().between(170, 300).all()


def test_labels_arrive_late_and_some_never(stream: pd.DataFrame) -> None:
    delay = (stream.label_timestamp - stream.event_timestamp).dt.total_seconds() / 86_400
    assert 7.5 < delay.mean() < 8.5
    assert delay.min() >= 0
    assert 0.02 < stream.label.isna().mean() < 0.04
    assert stream.label.isna().equals(stream.label_timestamp.isna())
    assert set(stream.label.dropna()) == set("123456789")
    assert stream.label.value_counts(normalize=True).max() < 0.4


def test_companies_are_large_and_small_and_hire_for_what_they_do(stream: pd.DataFrame) -> None:
    sizes = stream.company.value_counts()
    assert len(sizes) > 200
    assert sizes.iloc[0] > 10 * sizes.median()
    largest = stream[stream.company.isin(sizes.index[:12])]
    mixes = pd.crosstab(largest.company, largest.label, normalize="index")
    overall = stream.label.value_counts(normalize=True)
    distance = (mixes - overall).abs().sum(axis=1) / 2
    assert distance.mean() > 0.15


def test_some_companies_come_and_some_go() -> None:
    companies = found_companies(400, 7)
    first, last = set(map(id, companies.hiring(0.0).choices)), set(map(id, companies.hiring(0.99).choices))
    assert first - last
    assert last - first


def test_boards_have_styles_and_leave_fields_out(stream: pd.DataFrame) -> None:
    boards = surroundings().boards
    assert set(stream.board) == {board.name for board in boards}
    for board in boards:
        part = stream[stream.board == board.name]
        assert part.description.str.endswith(board.closing).all()
        assert abs(part.seniority.isna().mean() - board.missing["seniority"]) < 0.08
    assert set(stream.currency.dropna()) == {"EUR", "PLN", "GBP"}
    assert set(stream.period.dropna()) == {"hour", "month"}


def test_ads_are_posted_again_with_small_edits(stream: pd.DataFrame) -> None:
    """Word sets of near-duplicates overlap almost wholly; those of other ads of a company do not."""
    sample = stream[stream.board == "workfinder.example"].head(600)
    words = [frozenset(text.split()) for text in sample.description]
    near = sum(
        any(len(a & b) / len(a | b) > 0.8 for b in words[max(0, number - 150) : number])
        for number, a in enumerate(words)
    )
    assert near > 10


def test_descriptions_carry_details_to_mask(stream: pd.DataFrame) -> None:
    masked = stream.description.map(lambda text: mask_text(text) != text).mean()
    assert 0.11 < masked < 0.2
    later = stream.description.map(mask_text)
    assert not later.str.contains(r"@\w+\.example|\d{3}[ -]\d{3}[ -]\d{3}", regex=True).any()


def test_a_text_classifier_finds_the_classes_but_not_all() -> None:
    """The classes are learnable, and ambiguous enough that a model can be better or worse."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    frame = pd.concat(list(generate(GeneratorConfig(rows=9_000))), ignore_index=True)
    frame = frame[frame.label.notna()]
    cut = frame.event_timestamp.quantile(0.7)
    text = frame.title + " " + frame.description
    past = frame.event_timestamp < cut
    vectors = TfidfVectorizer(sublinear_tf=True)
    model = LinearSVC(C=0.3).fit(vectors.fit_transform(text[past]), frame.label[past])
    accuracy = model.score(vectors.transform(text[~past]), frame.label[~past])
    assert 0.83 < accuracy < 0.93


def test_start_takes_a_plain_date() -> None:
    config = GeneratorConfig.model_validate({"start": "2025-03-03", "rows": 10, "weeks": 2})
    assert config.start == datetime(2025, 3, 3, tzinfo=UTC)


def test_vocabulary_is_whole() -> None:
    words = vocabulary()
    assert set(words.neighbours) == set(words.classes) == set("123456789")
    assert set(words.industry_weights) == set(words.industries)
    industries = {each for group in words.classes.values() for job in group.occupations for each in job.industries}
    assert industries == set(words.industries)
    assert {label for vague in words.vague_titles for label in vague.classes} <= set(words.classes)


def test_memory_does_not_grow_with_the_number_of_postings() -> None:
    def peak_kib(rows: int) -> int:
        code = (
            "import resource; from plumbline.data.generator import GeneratorConfig, generate\n"
            f"for frame in generate(GeneratorConfig(rows={rows})): pass\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)

    assert peak_kib(40_000) < peak_kib(6_000) + 40_000
