"""The gate: it finds agreement where there is, and disagreement where it was put."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from posting_stream import START

from plumbline.errors import ContractError, GateRefusedError, MissingInputError
from plumbline.features.materialize import materialize
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.pairs import Sampler
from plumbline.features.parity import as_records, check_logged, check_parity
from plumbline.features.parity_report import ParityReport
from plumbline.features.plan import resolve
from plumbline.features.store import open_feature_store
from plumbline.settings import Settings, load_settings

AS_OF = START + timedelta(days=100)


@pytest.fixture
def served(home: Settings) -> Settings:
    """Materialised up to AS_OF."""
    materialize(home, AS_OF)
    return home


@pytest.fixture(scope="module")
def report(built_home: Settings, postings: pd.DataFrame) -> ParityReport:
    """1,000 pairs of the scratch store: nothing is materialised in this home."""
    return check_parity(built_home, postings, pairs=1_000, seed=3)


def test_both_paths_agree_on_every_value(report: ParityReport) -> None:
    assert report.checked == report.matched == 1_000
    assert report.share == 1.0
    assert report.values == 30_000
    assert report.mismatches == []
    report.require()


def test_expired_missing_and_served_pairs_are_all_among_them(report: ParityReport) -> None:
    assert report.expired > 50
    assert report.missing > 50
    assert report.served > 500


def test_pairs_are_spread_over_instants(report: ParityReport, built_home: Settings) -> None:
    assert len(report.instants) == built_home.features.parity_instants
    assert {instant.store for instant in report.instants} == {"scratch"}
    assert sorted(instant.at for instant in report.instants) == [instant.at for instant in report.instants]


def test_the_gate_leaves_the_serving_store_alone(served: Settings, postings: pd.DataFrame) -> None:
    path = Path(open_feature_store(served).config.online_store.path)
    with sqlite3.connect(path) as connection:
        before = list(connection.iterdump())
    report = check_parity(served, postings, pairs=50)
    assert report.instants[-1].store == "serving"
    assert report.instants[-1].at == AS_OF
    with sqlite3.connect(path) as connection:
        assert list(connection.iterdump()) == before


def test_the_same_seed_draws_the_same_pairs(built_home: Settings, postings: pd.DataFrame) -> None:
    sampler = Sampler(built_home, resolve(built_home, open_feature_store(built_home)), postings)
    first, second, other = (sampler.draw(AS_OF, 200, np.random.default_rng(seed)) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)
    assert len(first) == 200
    assert (first["event_timestamp"] >= AS_OF).all()


def test_one_wrong_value_in_the_serving_store_is_found(served: Settings, postings: pd.DataFrame) -> None:
    from feast.protos.feast.types.Value_pb2 import Value

    with sqlite3.connect(open_feature_store(served).config.online_store.path) as connection:
        changed = connection.execute(
            "UPDATE plumbline_board_activity SET value = ? WHERE feature_name = 'board_companies_28d'",
            [Value(int64_val=7).SerializeToString()],
        )
        assert changed.rowcount > 0
    report = check_parity(served, postings, pairs=200)
    assert report.matched < report.checked
    assert {mismatch["feature"] for mismatch in report.mismatches} == {"board_companies_28d"}
    assert {mismatch["online"] for mismatch in report.mismatches} == {7}
    assert len(report.mismatches) == 20
    with pytest.raises(GateRefusedError, match="board_companies_28d"):
        report.require()


def test_a_serving_store_that_was_left_behind_is_found(served: Settings, postings: pd.DataFrame) -> None:
    with sqlite3.connect(open_feature_store(served).config.online_store.path) as connection:
        connection.execute("DELETE FROM plumbline_company_activity")
        connection.execute("UPDATE plumbline_board_activity SET event_ts = event_ts - 86400 * 60")
    with pytest.raises(GateRefusedError):
        check_parity(served, postings, pairs=200).require()


def test_agreement_about_nothing_is_refused(report: ParityReport) -> None:
    with pytest.raises(GateRefusedError, match="says nothing"):
        report.model_copy(update={"served": 0}).require()


def test_nothing_to_compare_is_refused(built_home: Settings, postings: pd.DataFrame) -> None:
    with pytest.raises(MissingInputError, match="no postings to draw pairs from"):
        check_parity(built_home, postings.head(0))


def test_logged_features_agree_with_offline_also_when_served_from_older_rows(
    served: Settings, postings: pd.DataFrame
) -> None:
    """Postings of four weeks after the last materialisation: rows of then, ageing out after two."""
    log = _log(served, postings, AS_OF, AS_OF + timedelta(days=28))
    report = check_logged(served, log)
    assert report.checked == report.matched == len(log) > 300
    assert 0 < report.missing < report.checked
    materialize(served, AS_OF + timedelta(days=28))
    assert check_logged(served, log, known_until=AS_OF).share == 1.0
    assert check_logged(served, log).share < 1.0


def test_a_logged_value_that_serving_made_up_is_found(served: Settings, postings: pd.DataFrame) -> None:
    log = _log(served, postings, AS_OF, AS_OF + timedelta(days=1))
    values = json.loads(log["features"].iloc[0]) | {"posting_title_words": 99}
    log.loc[log.index[0], "features"] = json.dumps(values)
    report = check_logged(served, log)
    assert report.matched == report.checked - 1
    assert [mismatch["feature"] for mismatch in report.mismatches] == ["posting_title_words"]


def test_shadows_rows_count_for_nothing_and_masked_features_are_refused(
    served: Settings, postings: pd.DataFrame
) -> None:
    log = _log(served, postings, AS_OF, AS_OF + timedelta(days=1)).assign(role="champion", masked=None)
    shadow = log.assign(role="shadow", features="{}")
    report = check_logged(served, pd.concat([log, shadow]))
    assert report.checked == report.matched == len(log)
    masked = log.assign(masked=[["company:hash", "features.company_postings:drop"]] * len(log))
    with pytest.raises(ContractError, match=r"masks features\.company_postings:drop:"):
        check_logged(served, masked)


def test_a_log_without_features_is_refused(served: Settings, postings: pd.DataFrame) -> None:
    with pytest.raises(ContractError, match="features"):
        check_logged(served, postings.head(3))
    with pytest.raises(ContractError, match="mapping"):
        check_logged(served, postings.head(3).assign(features=3))


def test_logs_of_a_store_that_was_never_filled_are_refused(built_home: Settings, postings: pd.DataFrame) -> None:
    with pytest.raises(MissingInputError, match="materialize"):
        check_logged(built_home, postings.head(3).assign(features=[{}] * 3))


def _log(settings: Settings, postings: pd.DataFrame, start: object, end: object) -> pd.DataFrame:
    asked = postings[(postings["event_timestamp"] >= start) & (postings["event_timestamp"] < end)]
    vectors = OnlineFeatureReader(settings).read(as_records(asked))
    return asked.assign(features=[json.dumps(vector.values) for vector in vectors])


def test_the_machines_time_zone_has_no_say(home: Settings) -> None:
    """Beirut's clock skips the very hour, 0 to 1 on 31 March 2024, that a row of the grid is named by."""
    script = Path(__file__).parent / "parity_in_this_zone.py"
    done = subprocess.run(
        [sys.executable, str(script), str(home.home)],
        env=os.environ | {"TZ": "Asia/Beirut"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"share": 1.0, "age_seconds": 60.0}


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_redis_serves_the_same_values(tmp_path: Path, built_home: Settings, postings: pd.DataFrame) -> None:
    from feature_repo.definitions import apply

    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(socket)
        settings = load_settings(
            home=tmp_path / "home",
            features={
                "views_dir": built_home.home / "features" / "views",
                "online_store": {"type": "redis", "connection_string": f"localhost:0,unix_socket_path={socket}"},
            },
        )
        apply(settings)
        materialize(settings, AS_OF + timedelta(days=20))
        materialize(settings, AS_OF)
        report = check_parity(settings, postings, pairs=300)
        assert report.instants[-1].at == AS_OF
        report.require()
        keys = subprocess.run(
            ["redis-cli", "-s", str(socket), "--raw", "KEYS", "*"], capture_output=True, check=True
        ).stdout.splitlines()
        assert keys
        assert not [key for key in keys if b"parity" in key]
    finally:
        server.terminate()
        server.wait()


def _wait_for(socket: Path) -> None:
    import time

    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline, "redis-server did not start"
        time.sleep(0.05)
