"""Every row of a view is what was known at its time: recomputed posting by posting, and with the future changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from feature_repo.build import build_views
from plumbline.features.views import view_file
from plumbline.settings import Settings, load_settings

VIEWS = ("company_activity", "board_activity", "company_labels", "board_labels")
KEYS = {"company": "company", "board": "board"}


def read(settings: Settings, view: str) -> pd.DataFrame:
    return pd.read_parquet(view_file(settings, view))


def brute_force(postings: pd.DataFrame, view: str, entity: str, at: pd.Timestamp) -> dict[str, object]:
    """The definition of each feature, in as many words."""
    key = view.split("_", maxsplit=1)[0]
    before = postings[(postings[key] == entity) & (postings["event_timestamp"] < at)]
    if view.endswith("_labels"):
        arrived = before[(before["label_timestamp"] <= at) & (before["label_timestamp"] > at - timedelta(days=56))]
        counts = arrived["label"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        shares = counts / counts.sum()
        return {
            f"{key}_labelled_56d": len(arrived),
            f"{key}_top_label": counts.index[0],
            f"{key}_top_label_share": shares.iloc[0],
            f"{key}_label_entropy": float(-(shares * np.log(shares)).sum()),
        }
    recent = before[before["event_timestamp"] >= at - timedelta(days=28)]
    week = recent[recent["event_timestamp"] >= at - timedelta(days=7)]
    counted = {f"{key}_postings_7d": len(week), f"{key}_postings_28d": len(recent)}
    if key == "company":
        return counted | {
            "company_titles_28d": recent["title"].str.lower().nunique(),
            "company_boards_28d": recent["board"].nunique(),
            "company_days_since_first": (at - before["event_timestamp"].min()) / timedelta(days=1),
        }
    return counted | {
        "board_companies_28d": recent["company"].nunique(),
        "board_salary_share_28d": recent["salary_min"].notna().mean(),
    }


@pytest.mark.parametrize("view", VIEWS)
def test_rows_equal_a_recomputation_from_the_definition(
    built_home: Settings, postings: pd.DataFrame, view: str
) -> None:
    rows = read(built_home, view)
    for row in rows.sample(60, random_state=1).to_dict("records"):
        key = view.split("_", maxsplit=1)[0]
        expected = brute_force(postings, view, row[key], row["event_timestamp"])
        assert set(row) == {key, "event_timestamp", *expected}
        assert row.get("company_top_label") == expected.pop("company_top_label", None)
        assert row.get("board_top_label") == expected.pop("board_top_label", None)
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_rows_are_there_exactly_while_the_window_holds_anything(built_home: Settings, postings: pd.DataFrame) -> None:
    rows = read(built_home, "company_activity")
    until = rows["event_timestamp"].max()
    for company in ("company 3", "company 77"):
        times = postings.loc[postings["company"] == company, "event_timestamp"]
        grid = pd.date_range(times.min().normalize(), until, freq="D")
        expected = [at for at in grid if ((times < at) & (times >= at - timedelta(days=28))).any()]
        assert rows.loc[rows["company"] == company, "event_timestamp"].tolist() == expected


def test_a_missing_company_is_nobody(built_home: Settings) -> None:
    for view in ("company_activity", "company_labels"):
        companies = read(built_home, view)["company"]
        assert companies.notna().all()
        assert (companies != "").all()


@pytest.mark.parametrize("view", VIEWS)
def test_what_comes_later_changes_no_earlier_row(settings: Settings, postings: pd.DataFrame, view: str) -> None:
    """The future is permuted: other entities, other labels, other arrivals. The past stays as it is, to the bit."""
    cut = pd.Timestamp(datetime(2024, 3, 10, 5, 30, tzinfo=UTC))
    random = np.random.default_rng(4)
    other = postings.copy()
    future = other["event_timestamp"] >= cut
    for column in ("company", "board", "title", "label"):
        other.loc[future, column] = random.permutation(other.loc[future, column].to_numpy())
    unknown = ~future & (other["label_timestamp"] > cut)
    other.loc[unknown, "label"] = "99"
    other.loc[future, "label_timestamp"] += timedelta(days=3)

    build_views(settings, postings, snapshot_id="one")
    one = read(settings, view)
    build_views(settings, other, snapshot_id="other")
    two = read(settings, view)

    pd.testing.assert_frame_equal(_up_to(one, cut), _up_to(two, cut))
    assert len(_up_to(one, cut)) < len(one)
    assert not one.equals(two)


def _up_to(rows: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    return rows[rows["event_timestamp"] <= cut].reset_index(drop=True)


def test_a_label_counts_from_the_instant_it_arrives_and_not_before(settings: Settings, postings: pd.DataFrame) -> None:
    one = postings.head(1).copy()
    event = datetime(2024, 1, 1, tzinfo=UTC)
    arrival = datetime(2024, 1, 5, tzinfo=UTC)
    one["event_timestamp"], one["label_timestamp"] = event, pd.Timestamp(arrival)
    one[["company", "board", "label"]] = "acme", "b", "21"
    build_views(settings, one, snapshot_id="x", until=datetime(2024, 4, 1, tzinfo=UTC))
    labels = read(settings, "company_labels")
    assert labels["event_timestamp"].min() == arrival
    assert labels["event_timestamp"].max() == arrival + timedelta(days=55)
    activity = read(settings, "company_activity")
    # The posting itself is not known at its own instant, and is known for 28 days.
    assert activity["event_timestamp"].min() == event + timedelta(days=1)
    assert activity["event_timestamp"].max() == event + timedelta(days=28)
    assert activity["company_postings_7d"].tolist() == [1] * 7 + [0] * 21


def test_a_label_that_comes_with_its_posting_is_not_in_a_row_of_that_instant(
    settings: Settings, postings: pd.DataFrame
) -> None:
    one = postings.head(1).copy()
    event = datetime(2024, 1, 2, tzinfo=UTC)
    one["event_timestamp"], one["label_timestamp"] = event, pd.Timestamp(event)
    one[["company", "board", "label"]] = "acme", "b", "21"
    build_views(settings, one, snapshot_id="x")
    assert read(settings, "company_labels")["event_timestamp"].min() == event + timedelta(days=1)


def test_a_finer_grid_has_the_same_rows_and_those_in_between(
    tmp_path_factory: pytest.TempPathFactory, built_home: Settings, postings: pd.DataFrame
) -> None:
    finer = load_settings(home=tmp_path_factory.mktemp("finer"), features={"grid_hours": 6})
    build_views(finer, postings, snapshot_id="synthetic")
    fine, coarse = read(finer, "board_labels"), read(built_home, "board_labels")
    daily = fine[fine["event_timestamp"].dt.hour == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(daily[daily["event_timestamp"] <= coarse["event_timestamp"].max()], coarse)
    assert len(fine) > 3.5 * len(coarse)
