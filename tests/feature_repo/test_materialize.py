"""The online store holds what the views say, whatever changed between two builds of them, and whoever was killed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from online_stores import KINDS, running_store
from posting_stream import START, make_postings

import plumbline.features.materialize as module
from feature_repo.build import build_views
from feature_repo.definitions import apply
from plumbline.errors import DependencyError, GateRefusedError
from plumbline.features.materialize import materialize, materialized_until
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.online_keys import stored_keys
from plumbline.features.online_view import MARK, OnlineView
from plumbline.features.parity import check_parity
from plumbline.features.plan import resolve
from plumbline.features.store import open_feature_store
from plumbline.features.views import built_views, view_file
from plumbline.settings import Settings, load_settings

AS_OF = START + timedelta(days=100)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def postings() -> pd.DataFrame:
    """A stream small enough to be built again and again."""
    return make_postings(1_000, weeks=18, companies=60)


@pytest.fixture(scope="module", params=KINDS)
def online(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Feast's section of a running store, one of each kind."""
    with running_store(request.param, tmp_path_factory.mktemp("store") / "data") as section:
        yield section


@pytest.fixture
def served(tmp_path: Path, online: Any, postings: pd.DataFrame) -> Settings:
    """Built from the stream and brought up to AS_OF, in a project of its own."""
    features = {"project": f"p{uuid.uuid4().hex[:8]}", "online_store": online, "parity_instants": 2}
    settings = load_settings(home=tmp_path / "home", features=features)
    apply(settings)
    build_views(settings, postings, snapshot_id="first")
    assert materialize(settings, AS_OF).counts["written"] > 0
    return settings


def read(settings: Settings, company: str, at: datetime = AS_OF, board: str = "board1") -> dict[str, Any]:
    question = {"event_timestamp": at, "company": company, "board": board, "title": "Cook", "description": "Cooks"}
    return OnlineFeatureReader(settings).read([question])[0].values


def require_parity(settings: Settings, postings: pd.DataFrame) -> None:
    report = check_parity(settings, postings, pairs=120, seed=1)
    assert report.instants[-1].store == "serving"
    report.require()


def posting(postings: pd.DataFrame, at: datetime, **fields: Any) -> pd.DataFrame:
    """A row of the stream with another identity and time."""
    row = postings.iloc[[0]].assign(posting_id=f"late {at}", event_timestamp=pd.Timestamp(at).as_unit("us"), **fields)
    return row.astype({"event_timestamp": postings["event_timestamp"].dtype})


def test_the_same_again_writes_nothing(served: Settings, postings: pd.DataFrame) -> None:
    again = materialize(served, AS_OF)
    assert again.counts["written"] == again.counts["removed"] == 0
    assert again.counts["unchanged"] > 100
    build_views(served, postings.sample(frac=1.0, random_state=1), snapshot_id="the same, shuffled")
    assert materialize(served, AS_OF).counts["written"] == 0


def test_late_postings_arrive_with_rows_in_the_past(served: Settings, postings: pd.DataFrame) -> None:
    """A company that nobody knew, all of whose rows lie before the last materialisation."""
    assert read(served, "newcomer")["company_postings_28d"] is None
    late = pd.concat([postings, *(posting(postings, AS_OF - days * DAY, company="newcomer") for days in (35, 40))])
    build_views(served, late, snapshot_id="second")
    done = materialize(served, AS_OF)
    assert 0 < done.counts["written"] < done.counts["unchanged"]
    # Its last row lies 7 days back: 28 days after the later posting the window holds nothing.
    assert read(served, "newcomer")["company_postings_28d"] == 1
    require_parity(served, late)


def test_late_postings_change_rows_that_were_written(served: Settings, postings: pd.DataFrame) -> None:
    before = read(served, "unknown", board="board1")["board_postings_28d"]
    late = pd.concat([postings, *(posting(postings, AS_OF - (5 + n) * DAY, board="board1") for n in range(3))])
    build_views(served, late, snapshot_id="second")
    materialize(served, AS_OF)
    assert read(served, "unknown", board="board1")["board_postings_28d"] == before + 3
    require_parity(served, late)


def test_late_labels_change_rows_that_were_written(served: Settings, postings: pd.DataFrame) -> None:
    recent = (postings["event_timestamp"] > AS_OF - 20 * DAY) & (postings["event_timestamp"] < AS_OF - 5 * DAY)
    arrived = recent & postings["label"].isna()
    assert arrived.any()
    labelled = postings.assign(
        label=postings["label"].where(~arrived, "99"),
        label_timestamp=postings["label_timestamp"].where(~arrived, postings["event_timestamp"] + DAY),
    )
    build_views(served, labelled, snapshot_id="second")
    done = materialize(served, AS_OF)
    assert done.views["company_activity"].written == 0
    assert done.views["company_labels"].written > 0
    require_parity(served, labelled)


def test_what_a_newer_snapshot_lacks_is_not_served(served: Settings, postings: pd.DataFrame) -> None:
    alive = postings[(postings["event_timestamp"] < AS_OF) & (postings["event_timestamp"] > AS_OF - 3 * DAY)]
    gone = alive["company"].dropna().iloc[-1]
    assert read(served, gone)["company_postings_28d"] >= 1
    fewer = postings[postings["company"] != gone]
    build_views(served, fewer, snapshot_id="second")
    with pytest.raises(GateRefusedError):  # the gate finds it, too
        check_parity(served, fewer, pairs=1_000).require()
    done = materialize(served, AS_OF)
    assert done.views["company_activity"].removed == 1
    assert read(served, gone)["company_postings_28d"] is None
    assert materialize(served, AS_OF).counts["removed"] == 0
    require_parity(served, fewer)
    build_views(served, postings, snapshot_id="first")
    materialize(served, AS_OF)
    assert read(served, gone)["company_postings_28d"] >= 1


def test_on_and_back_in_time(served: Settings, postings: pd.DataFrame) -> None:
    """Going back takes away what first appears later, and readers find their rows throughout."""
    later, row = AS_OF + 21 * DAY, read(served, "unknown")
    onward = materialize(served, later)
    assert onward.counts["removed"] == 0
    require_parity(served, postings)
    back = materialize(served, AS_OF)
    assert back.counts["removed"] > 0
    assert read(served, "unknown") == row
    store = open_feature_store(served)
    assert materialized_until(store, resolve(served, store)) == AS_OF
    require_parity(served, postings)


def test_a_materialisation_that_went_too_far_holds_nothing_up(served: Settings, postings: pd.DataFrame) -> None:
    """As by a posting dated 2099 before such rows were left out."""
    wrong = pd.concat([postings, posting(postings, datetime.fromisoformat("2099-01-01T00:00:00+00:00"))])
    build_views(served, wrong, snapshot_id="wrong")
    materialize(served, datetime.fromisoformat("2099-01-02T00:00:00+00:00"))
    newer = pd.concat([postings, posting(postings, AS_OF + 10 * DAY, company="newest")])
    build_views(served, newer, snapshot_id="newer")
    materialize(served, AS_OF + 11 * DAY)
    assert read(served, "newest", AS_OF + 11 * DAY)["company_postings_28d"] == 1
    require_parity(served, newer)


def test_an_instant_that_nobody_has_come_to_is_taken_back(
    served: Settings, postings: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    asked = datetime.fromisoformat("2999-01-01T00:00:00+00:00")
    done = materialize(served, asked)
    assert built_views(served).until < done.end < asked
    assert "is later than the clock and than the views" in caplog.text
    assert materialize(served, AS_OF).end == AS_OF
    require_parity(served, postings)


def test_another_time_to_live_and_another_service(served: Settings, postings: pd.DataFrame) -> None:
    shorter = served.model_copy(update={"features": served.features.model_copy(update={"activity_ttl_days": 3})})
    apply(shorter)
    assert materialize(shorter, AS_OF).counts["written"] == 0
    require_parity(shorter, postings)
    store = open_feature_store(served)
    from feast import FeatureService

    boards = FeatureService(name="boards_v1", features=[store.get_feature_view("board_activity")])
    store.apply([boards])
    other = served.model_copy(update={"features": served.features.model_copy(update={"service": "boards_v1"})})
    late = pd.concat([postings, posting(postings, AS_OF - 35 * DAY, company="newcomer")])
    build_views(served, late, snapshot_id="second")
    assert set(materialize(other, AS_OF).views) == {"board_activity"}
    require_parity(other, late)
    assert materialize(served, AS_OF).views["company_activity"].written == 1
    require_parity(served, late)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("at", range(12))
def test_killed_at_any_step_and_run_again(
    served: Settings, postings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Ends at the nth write to either store. What follows stands at another instant, and still ends right."""
    gone = postings["company"].dropna().iloc[-1]
    second = pd.concat([postings[postings["company"] != gone], posting(postings, AS_OF - 35 * DAY, company="late")])
    build_views(served, second, snapshot_id="second")
    counted = 0

    def or_die(call: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal counted
            counted += 1
            if counted > at:
                raise Killed
            return call(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(OnlineView, "_put", or_die(OnlineView._put))
        patch.setattr(module.OnlineRecord, "save", or_die(module.OnlineRecord.save))
        with pytest.raises(Killed):
            materialize(served, AS_OF + 7 * DAY)
    assert counted == at + 1
    assert read(served, "unknown", AS_OF + 7 * DAY)["board_postings_28d"] > 0
    build_views(served, postings, snapshot_id="first")
    materialize(served, AS_OF)
    _require_as_if_new(served)


def _require_as_if_new(served: Settings) -> None:
    """Every entity that the store knows reads the row that the views say, time and values, or none."""
    store = open_feature_store(served)
    reader = OnlineFeatureReader(served, store)
    for view in reader.plan.batch:
        frame = pd.read_parquet(view_file(served, view.name))
        last = frame[frame["event_timestamp"] <= AS_OF].groupby(view.key).last()
        keys = [key for key in stored_keys(store, view) if key != MARK]
        rows = dict(zip(keys, reader._rows(view, keys), strict=True))
        held = {key: (row[0].timestamp(), *row[1].values()) for key, row in rows.items() if row is not None}
        assert held == {
            key: (row["event_timestamp"].timestamp(), *(row[name] for name in view.features))
            for key, row in last.iterrows()
        }, view.name


def test_a_store_that_lost_its_rows_is_filled_again(served: Settings, postings: pd.DataFrame) -> None:
    store = open_feature_store(served)
    plan = resolve(served, store)
    views, entities = [view.view for view in plan.batch], [store.get_entity(view.key) for view in plan.batch]
    store.provider.online_store.teardown(store.config, views, entities)
    apply(served)
    assert read(served, "unknown")["board_postings_28d"] is None
    materialize(served, AS_OF)
    assert read(served, "unknown")["board_postings_28d"] > 0
    require_parity(served, postings)


def test_rows_that_no_record_knows_are_taken_away(served: Settings, postings: pd.DataFrame) -> None:
    """Written by Feast itself, by an earlier version, or before the records were lost."""
    store = open_feature_store(served)
    view = resolve(served, store).batch[0]
    table = pq.read_table(view_file(served, view.name)).slice(0, 1).to_pandas().assign(company="nobody's")
    row = table.assign(event_timestamp=pd.Timestamp(AS_OF))
    store.write_to_online_store(view.name, row)
    assert read(served, "nobody's")["company_postings_28d"] >= 1
    with pytest.raises(GateRefusedError):
        check_parity(served, postings, pairs=1_000).require()
    assert materialize(served, AS_OF).counts["removed"] == 0
    full = materialize(served, AS_OF, full=True)
    assert (full.counts["removed"], full.counts["unchanged"]) == (1, 0)
    assert read(served, "nobody's")["company_postings_28d"] is None
    require_parity(served, postings)

    store.write_to_online_store(view.name, row)
    for record in (served.home / "objects" / "features" / "online").rglob("*.parquet"):
        record.unlink()
    materialize(served, AS_OF)
    assert read(served, "nobody's")["company_postings_28d"] is None


def test_another_project_in_the_same_store_is_left_alone(served: Settings, postings: pd.DataFrame) -> None:
    """A name that ends like another one: Redis keys end with the project's name."""
    features = served.features.model_copy(update={"project": f"x{served.features.project}"})
    other = served.model_copy(update={"features": features, "home": served.home.parent / "other"})
    apply(other)
    build_views(other, posting(postings, AS_OF - DAY, company="theirs"), snapshot_id="theirs")
    materialize(other, AS_OF)
    store = open_feature_store(served)
    view = resolve(served, store).batch[0]
    assert "theirs" not in stored_keys(store, view)
    assert materialize(served, AS_OF, full=True).counts["removed"] == 0
    assert read(other, "theirs")["company_postings_28d"] == 1


def test_two_at_once_without_a_lock_are_noticed(
    served: Settings, postings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of two pods whose registry is no Postgres: neither record is believed afterwards."""
    write = module._write

    def meanwhile(online: OnlineView, found: Any) -> None:
        monkeypatch.setattr(module, "_write", write)
        with monkeypatch.context() as patch:
            patch.setattr(module, "only_materialization", _no_lock)
            materialize(served, AS_OF + 3 * DAY)
        write(online, found)

    monkeypatch.setattr(module, "_write", meanwhile)
    with pytest.raises(DependencyError, match="Run it again"):
        materialize(served, AS_OF + 7 * DAY)
    assert materialize(served, AS_OF + 3 * DAY).counts["written"] > 0
    require_parity(served, postings)


class _no_lock:  # noqa: N801 - stands for a function
    def __init__(self, _: Settings) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_records_do_not_pile_up(served: Settings) -> None:
    for days in range(1, 4):
        materialize(served, AS_OF + days * DAY)
    records = list((served.home / "objects" / "features" / "online").rglob("*.parquet"))
    assert len(records) == 4
