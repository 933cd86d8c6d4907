"""Training's path: the same rows in the same order, each with what was known at its own time."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from plumbline.errors import ContractError, IntegrityError, MissingInputError
from plumbline.features.offline import historical_features, training_set
from plumbline.features.schema import feature_specs
from plumbline.features.views import view_file
from plumbline.settings import Settings

MICROSECOND = timedelta(microseconds=1)


def test_rows_order_and_index_are_those_of_the_postings(built_home: Settings, postings: pd.DataFrame) -> None:
    random = np.random.default_rng(2)
    mixed = postings.sample(400, replace=True, random_state=random)
    mixed.index = pd.Index(random.permutation(10_000)[:400])
    joined = historical_features(built_home, mixed)
    pd.testing.assert_frame_equal(joined[list(postings.columns)], mixed)
    assert [*postings.columns, *(spec.name for spec in feature_specs(built_home))] == list(joined.columns)


def test_values_are_of_the_last_row_not_after_the_posting(built_home: Settings, postings: pd.DataFrame) -> None:
    rows = pd.read_parquet(view_file(built_home, "board_activity"))
    some = postings.iloc[500:2500:50]
    joined = historical_features(built_home, some)
    for (_, posting), value in zip(some.iterrows(), joined["board_postings_28d"], strict=True):
        mine = rows[(rows["board"] == posting["board"]) & (rows["event_timestamp"] <= posting["event_timestamp"])]
        assert value == mine.sort_values("event_timestamp")["board_postings_28d"].iloc[-1]


def test_a_row_serves_to_the_end_of_its_life_and_no_microsecond_longer(
    built_home: Settings, postings: pd.DataFrame
) -> None:
    rows = pd.read_parquet(view_file(built_home, "company_activity"))
    last = rows.groupby("company")["event_timestamp"].max().sort_values()
    company, row_time = last.index[0], last.iloc[0]
    end = row_time + timedelta(days=built_home.features.activity_ttl_days)
    probe = postings.head(3).assign(
        company=company, event_timestamp=pd.Series([row_time, end, end + MICROSECOND]).dt.as_unit("us")
    )
    values = historical_features(built_home, probe)["company_postings_28d"]
    expected = float(
        rows.loc[(rows["company"] == company) & (rows["event_timestamp"] == row_time), "company_postings_28d"].iloc[0]
    )
    assert values.tolist()[:2] == [expected, expected]
    assert np.isnan(values.iloc[2])


def test_nobody_has_no_features_and_keeps_its_row(built_home: Settings, postings: pd.DataFrame) -> None:
    some = postings.iloc[1000:1010].assign(company=[None, np.nan, "", "unheard of", None] * 2)
    joined = historical_features(built_home, some)
    assert joined["company_postings_28d"].isna().all()
    assert joined["company_top_label"].tolist() == [None] * 10
    assert joined["posting_has_company"].tolist() == [0, 0, 0, 1, 0] * 2
    assert joined["board_postings_28d"].notna().all()


def test_numbers_are_floats_and_text_is_text(built_home: Settings, postings: pd.DataFrame) -> None:
    joined = historical_features(built_home, postings.head(50))
    for spec in feature_specs(built_home):
        assert joined[spec.name].dtype == ("float64" if spec.kind == "numeric" else object)


def test_no_postings_give_no_rows_and_all_columns(built_home: Settings, postings: pd.DataFrame) -> None:
    joined = historical_features(built_home, postings.head(0))
    assert joined.empty
    assert "company_top_label" in joined.columns


def test_the_training_set_knows_what_was_known(built_home: Settings, postings: pd.DataFrame) -> None:
    as_of = postings["event_timestamp"].iloc[2000].to_pydatetime()
    training = training_set(built_home, postings, as_of)
    assert (training["event_timestamp"] < as_of).all()
    labelled = training[training["label"].notna()]
    assert (labelled["label_timestamp"] <= as_of).all()
    assert len(training) == (postings["event_timestamp"] < as_of).sum()


def test_times_without_a_zone_are_refused(built_home: Settings, postings: pd.DataFrame) -> None:
    naive = postings.head(2).assign(event_timestamp=postings["event_timestamp"].head(2).dt.tz_localize(None))
    with pytest.raises(ContractError, match="time zone"):
        historical_features(built_home, naive)


def test_a_missing_column_is_named(built_home: Settings, postings: pd.DataFrame) -> None:
    with pytest.raises(ContractError, match="currency"):
        historical_features(built_home, postings.drop(columns="currency"))


def test_nothing_built_is_refused(settings: Settings, postings: pd.DataFrame) -> None:
    with pytest.raises(MissingInputError, match="features build"):
        historical_features(settings, postings)


def test_lost_rows_are_never_passed_over(
    built_home: Settings, postings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of Feast's engines loses rows; ours does not, so that the loss has to be staged."""
    from feast.infra.offline_stores.ibis import IbisRetrievalJob

    whole = IbisRetrievalJob._to_arrow_internal
    monkeypatch.setattr(IbisRetrievalJob, "_to_arrow_internal", lambda job, timeout=None: whole(job).slice(1))
    with pytest.raises(IntegrityError, match="9 rows for 10 postings"):
        historical_features(built_home, postings.head(10))
