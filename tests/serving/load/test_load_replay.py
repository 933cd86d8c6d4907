"""Replay of the prediction log: what arrived, when, and what stands for postings that are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from plumbline.data.generator import GeneratorConfig, generate
from plumbline.errors import MissingInputError
from serving.load.replay import Replay, arrivals_in, traffic_from

START = datetime(2026, 6, 1, 12, tzinfo=UTC)


def replay(**changes: Any) -> Replay:
    options: dict[str, Any] = {
        "snapshot": "latest", "since": None, "until": None, "speed": 1.0, "missing": "sample", "model": None,
        "warm_up": 0.0, "seed": 1,
    }  # fmt: skip
    return Replay(**{**options, **changes})


@pytest.fixture(scope="module")
def postings() -> pd.DataFrame:
    return pd.concat(list(generate(GeneratorConfig(rows=20, weeks=2, companies=5))), ignore_index=True)


def log_of(rows: list[tuple[str, float, str]], *, took_ms: float = 10.0, model: str = "m") -> pd.DataFrame:
    """Rows (request id, second at which it arrived, posting id)."""
    return pd.DataFrame(
        {
            "request_id": [row[0] for row in rows],
            "time": pd.to_datetime([START + timedelta(seconds=row[1], milliseconds=took_ms) for row in rows]),
            "total_ms": took_ms,
            "posting_id": [row[2] for row in rows],
            "model_name": model,
            "sample_rate": [None] * len(rows),
        }
    )


def test_requests_are_due_as_they_arrived(postings: pd.DataFrame) -> None:
    ids = postings["posting_id"].tolist()
    log = log_of([("b", 1.5, ids[1]), ("a", 0.0, ids[0]), ("c", 4.0, ids[1])])
    traffic, counts = traffic_from(arrivals_in(log), postings, replay(), default_model="m")
    assert traffic.due.tolist() == [0.0, 1.5, 4.0]
    assert [orjson.loads(body)["posting_id"] for body in traffic.bodies] == [ids[0], ids[1], ids[1]]
    assert set(traffic.paths) == {"/v1/classify"}
    assert not set(traffic.request_ids()) & set(log["request_id"])
    assert (counts["requests"], counts["postings_missing"], counts["log_sampled"]) == (3, 0, False)
    twice, _ = traffic_from(arrivals_in(log), postings, replay(speed=2.0), default_model="m")
    assert twice.due.tolist() == [0.0, 0.75, 2.0]


def test_the_slowest_answer_was_not_the_latest_request(postings: pd.DataFrame) -> None:
    log = log_of([("slow", 0.0, "x"), ("quick", 0.5, "y")])
    log.loc[0, ["time", "total_ms"]] = [pd.Timestamp(START + timedelta(seconds=2)), 2000.0]
    assert arrivals_in(log)["request"].tolist() == ["slow", "quick"]


def test_rows_of_a_batch_are_one_request_again(postings: pd.DataFrame) -> None:
    ids = postings["posting_id"].tolist()
    log = log_of([("one", 0.0, ids[0]), ("many/1", 1.0, ids[2]), ("many/0", 1.0, ids[1]), ("many/10", 1.0, ids[3])])
    traffic, counts = traffic_from(arrivals_in(log), postings, replay(), default_model="m")
    assert traffic.paths == ["/v1/classify", "/v1/classify:batch"]
    assert traffic.postings == [1, 3]
    sent = orjson.loads(traffic.bodies[1])["postings"]
    assert [posting["posting_id"] for posting in sent] == ids[1:4]
    assert (counts["requests"], counts["postings"], counts["batches"]) == (2, 4, 1)


def test_other_models_are_asked_by_their_names(postings: pd.DataFrame) -> None:
    log = log_of([("a", 0.0, postings["posting_id"][0])], model="other")
    own, _ = traffic_from(arrivals_in(log), postings, replay(), default_model="m")
    chosen, _ = traffic_from(arrivals_in(log), postings, replay(model="third"), default_model="m")
    assert (own.paths, chosen.paths) == (["/v1/models/other/classify"], ["/v1/models/third/classify"])


def test_postings_that_are_gone_are_replaced_or_left_out_and_counted(postings: pd.DataFrame) -> None:
    ids = postings["posting_id"].tolist()
    log = log_of([("a", 0.0, "gone"), ("b", 1.0, ids[0]), ("c/0", 2.0, "gone too"), ("c/1", 2.0, ids[1])])
    filled, counts = traffic_from(arrivals_in(log), postings, replay(), default_model="m")
    assert (len(filled), counts["postings_missing"], filled.postings) == (3, 2, [1, 1, 2])
    assert orjson.loads(filled.bodies[0])["posting_id"] in ids
    left, counts = traffic_from(arrivals_in(log), postings, replay(missing="skip"), default_model="m")
    assert (len(left), counts["postings_missing"], left.postings) == (2, 2, [1, 1])
    assert left.due.tolist() == [0.0, 1.0]
    with pytest.raises(MissingInputError, match="--missing sample"):
        traffic_from(arrivals_in(log[:1]), postings, replay(missing="skip"), default_model="m")


def test_a_log_that_holds_a_share_only_says_so(postings: pd.DataFrame) -> None:
    log = log_of([("a", 0.0, "x"), ("b", 1.0, "y")])
    log["sample_rate"] = [1.0, 0.1]
    _, counts = traffic_from(arrivals_in(log), postings, replay(), default_model="m")
    assert counts["log_sampled"]


def test_each_process_gets_its_share(postings: pd.DataFrame) -> None:
    log = log_of([(f"r{n}", float(n), postings["posting_id"][n % 3]) for n in range(7)])
    traffic, _ = traffic_from(arrivals_in(log), postings, replay(), default_model="m")
    shares = [traffic.share(part, 3) for part in range(3)]
    assert sorted(np.concatenate([share.due for share in shares])) == list(range(7))
    assert shares[1].request_ids() == [f"{traffic.run_id}-{number}" for number in (1, 4)]
    assert [shares[1].bodies[place] for place in shares[1].places] == [traffic.bodies[1], traffic.bodies[4]]
