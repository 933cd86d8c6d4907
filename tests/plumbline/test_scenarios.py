from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posting_rows import START, posting

from plumbline.data.contract import POSTING_COLUMNS, Posting
from plumbline.data.frames import from_records, to_table
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.scenarios import SCENARIOS, apply_scenario, scenario
from plumbline.data.scenarios.words import Lexicon
from plumbline.errors import UserError

CHANGE = START + timedelta(weeks=10)
NAMES = sorted(SCENARIOS)


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    return list(generate(GeneratorConfig(rows=4_000, weeks=20, seed=3)))


@pytest.fixture(scope="module")
def whole(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def drifted(frames: list[pd.DataFrame], name: str, seed: int = 7, **changed: object) -> pd.DataFrame:
    return pd.concat(list(apply_scenario(frames, name, CHANGE, seed, **changed)), ignore_index=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_moves_before_the_change_point_and_only_the_named_columns_after(
    name: str, frames: list[pd.DataFrame], whole: pd.DataFrame
) -> None:
    before = whole.copy()
    result = drifted([whole], name)
    assert whole.equals(before)
    early = result[result.event_timestamp < CHANGE]
    assert early.equals(whole[whole.event_timestamp < CHANGE])
    late, old = result[result.event_timestamp >= CHANGE], whole[whole.event_timestamp >= CHANGE]
    assert not late.reset_index(drop=True).equals(old.reset_index(drop=True))
    if name != "label_shift":
        moved = [column for column in POSTING_COLUMNS if not late[column].equals(old[column])]
        assert set(moved) == set(SCENARIOS[name].columns)


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_out_keeps_the_contract(name: str, frames: list[pd.DataFrame]) -> None:
    result = drifted(frames, name)
    assert list(result.columns) == list(POSTING_COLUMNS)
    assert result.posting_id.is_unique
    for record in to_table(result).slice(len(result) - 400).to_pylist():
        Posting.model_validate(record)


@pytest.mark.parametrize("name", NAMES)
def test_the_split_into_frames_does_not_matter_and_the_seed_does(
    name: str, frames: list[pd.DataFrame], whole: pd.DataFrame
) -> None:
    once = drifted(frames, name)
    assert once.equals(drifted([whole], name))
    if name not in {"schema_change", "salary_unit_error"}:
        assert not once.equals(drifted(frames, name, seed=8))


def _moved_share(result: pd.DataFrame, whole: pd.DataFrame, column: str) -> pd.Series:
    week = (whole.event_timestamp - CHANGE) // timedelta(days=7)
    other = result[column].ne(whole[column]) & ~(result[column].isna() & whole[column].isna())
    return other.groupby(week).mean()


@pytest.mark.parametrize(
    ("name", "column"),
    [("gradual_vocabulary_shift", "description"), ("new_board", "board"), ("novel_occupation", "title")],
)
def test_gradual_ones_grow_to_their_share(
    name: str, column: str, frames: list[pd.DataFrame], whole: pd.DataFrame
) -> None:
    share = _moved_share(drifted(frames, name), whole, column)
    full = scenario(name).share
    assert share[share.index < 0].eq(0).all()
    assert share[0] < full / 3
    assert share[share.index >= 6].mean() == pytest.approx(full, abs=0.06)
    assert np.corrcoef(share.loc[0:6].index, share.loc[0:6])[0, 1] > 0.9


def test_the_share_can_be_chosen(frames: list[pd.DataFrame], whole: pd.DataFrame) -> None:
    share = _moved_share(drifted(frames, "vocabulary_shift", share=0.3), whole, "description")
    assert share[share.index >= 0].mean() == pytest.approx(0.3, abs=0.04)
    fast = _moved_share(drifted(frames, "new_board", ramp=timedelta(hours=1)), whole, "board")
    assert fast[0] == pytest.approx(scenario("new_board").share, abs=0.08)


def test_the_mix_of_labels_shifts(frames: list[pd.DataFrame], whole: pd.DataFrame) -> None:
    result = drifted(frames, "label_shift")
    after = result[result.event_timestamp >= CHANGE].label.value_counts(normalize=True)
    before = whole.label.value_counts(normalize=True)
    assert (after - before).abs().sum() / 2 > 0.2
    assert len(result) == pytest.approx(len(whole), rel=0.25)


def test_units_go_wrong_and_periods_stay(frames: list[pd.DataFrame], whole: pd.DataFrame) -> None:
    result = drifted(frames, "salary_unit_error")
    late = (result.event_timestamp >= CHANGE) & result.salary_min.notna()
    factor = (result.salary_min / whole.salary_min)[late].groupby(result.period[late]).unique()
    assert factor.map(lambda values: np.unique(values.round(6)).tolist()).to_dict() == {
        "hour": [100.0],
        "month": [12.0],
    }


def test_words_become_others_so_that_an_old_model_fails_and_a_new_one_learns() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    frames = list(generate(GeneratorConfig()))
    change = START + timedelta(weeks=20)
    frame = pd.concat(list(apply_scenario(frames, "vocabulary_shift", change, 7)), ignore_index=True)
    frame = frame[frame.label.notna()]
    text = frame.title + " " + frame.description
    at = frame.event_timestamp

    def accuracy(until: datetime, start: datetime, end: datetime) -> float:
        known = (at < until) & (frame.label_timestamp <= until)
        later = (at >= start) & (at < end)
        vectors = TfidfVectorizer(sublinear_tf=True)
        model = LinearSVC(C=0.3).fit(vectors.fit_transform(text[known]), frame.label[known])
        return float(model.score(vectors.transform(text[later]), frame.label[later]))

    week = timedelta(days=7)
    first_training, retraining, end = change - 2 * week, change + 3 * week, change + 6 * week
    clean = accuracy(first_training, first_training, change)
    stale = accuracy(first_training, retraining, end)
    renewed = accuracy(retraining, retraining, end)
    assert stale < clean - 0.10
    assert renewed > stale + (clean - stale) / 2


def test_polish_words_are_exchanged_too_and_placeholders_stay() -> None:
    lexicon = Lexicon(7, share=1.0)
    text = "Żołnierz ŁÓDŹ łódź: <phone>, od 2800 zł"
    result = lexicon.translate(text)
    assert "<phone>" in result
    assert result.endswith("od 2800 zł")
    words = result.split()
    assert words[1].lower() == words[2].strip(":")
    assert words[1].isupper()
    assert not set(words[:2]) & {"Żołnierz", "ŁÓDŹ"}


@given(st.lists(st.text("aeiouybcdfgłżóśAŁŻ", min_size=4, max_size=8), unique=True), st.integers(0, 50))
def test_the_lexicon_is_one_to_one(words: list[str], seed: int) -> None:
    lexicon = Lexicon(seed, share=1.0)
    translated = [lexicon.word(word) for word in words]
    assert len(set(translated)) == len(words)
    assert all(len(a) == len(b) and a != b for a, b in zip(words, translated, strict=True))


def test_streams_without_labels_and_empty_frames_pass() -> None:
    frame = from_records(posting(n, label=None, label_timestamp=None) for n in range(90))
    for name in NAMES:
        result = drifted([frame.head(0), frame], name)
        assert result.label.isna().all()


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(UserError, match="Did you mean new_board"):
        scenario("new_bord")
    with pytest.raises(UserError, match="no time zone"):
        list(apply_scenario([], "new_board", datetime(2026, 1, 1), 1))
