"""Load and the prediction log: what was answered is looked up in it, and what is in it is sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from scripted_server import Arrived, ScriptedServer, classification, reply
from typer.testing import CliRunner

from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.load.cli import app
from serving.prediction_log import PredictionLog, PredictionRecord, open_log, read


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "home"))
    postings = pd.concat(list(generate(GeneratorConfig(rows=30, weeks=2, companies=5))), ignore_index=True)
    settings = load_settings()
    SnapshotStore(open_store(settings)).write(postings, source={"kind": "generator"})
    return settings


@pytest.fixture
def log(installed: Settings) -> Iterator[PredictionLog]:
    opened = open_log(installed)
    yield opened
    opened.close()


def record(request_id: str, posting_id: str, at: datetime) -> PredictionRecord:
    return PredictionRecord(
        request_id=request_id, time=at, posting_id=posting_id, event_timestamp=at, company=None, board="b",
        features={}, features_expired=(), features_missing=(), features_later=(), label="a", probability=0.5,
        model_name="posting-classifier", model_version="7", degraded=False, degraded_reasons=(), queue_ms=0.0,
        features_ms=0.0, encode_ms=0.0, model_ms=0.0, total_ms=0.0,
    )  # fmt: skip


def logging_endpoint(log: PredictionLog, forgets: set[int]) -> Any:
    """An endpoint that logs each answer, except those to the requests that it forgets."""

    async def script(arrived: Arrived) -> bytes:
        request_id, now = arrived.headers["x-request-id"], datetime.now(UTC)
        forgotten = arrived.number in forgets
        if not arrived.path.endswith(":batch"):
            if not forgotten:
                log.append([record(request_id, orjson.loads(arrived.body)["posting_id"], now)])
            return reply(classification(arrived))
        rows = orjson.loads(arrived.body)["postings"]
        kept = [record(f"{request_id}/{n}", row["posting_id"], now) for n, row in enumerate(rows) if n != 1]
        log.append(kept[forgotten:])
        refused = orjson.dumps({"title": "prediction-failed", "status": 500})
        answers = [refused if n == 1 else classification(arrived) for n in range(len(rows))]
        return reply(b'{"results":[' + b",".join(answers) + b"]}")

    return script


def load(server: ScriptedServer, *arguments: str) -> dict[str, Any]:
    url = server.url.removesuffix("/v1/classify")
    result = CliRunner().invoke(app, [arguments[0], "--url", url, *arguments[1:], "--json"], standalone_mode=False)
    if isinstance(result.exception, Exception):
        raise result.exception
    return dict(json.loads(result.stdout))


SHORT = ("--rate", "50", "--duration", "0.4", "--warm-up", "0.1", "--verify-log")


def test_what_the_log_lacks_is_counted_warm_up_included(log: PredictionLog) -> None:
    with ScriptedServer(logging_endpoint(log, {0, 7})) as server:
        result = load(server, "run", *SHORT)
    assert result["log"] == {"answered": 25, "found": 23, "missing": 2}


def test_rows_of_a_batch_are_looked_up_and_refused_ones_are_not_missed(log: PredictionLog) -> None:
    with ScriptedServer(logging_endpoint(log, {3})) as server:
        result = load(server, "run", *SHORT, "--batch", "3")
    assert result["rows_refused"] == {"prediction-failed": 20}
    assert result["log"] == {"answered": 50, "found": 49, "missing": 1}


def test_the_log_is_sent_again_and_logged_anew(installed: Settings, log: PredictionLog) -> None:
    postings = SnapshotStore(open_store(installed)).read("latest")["posting_id"].tolist()
    start = datetime.now(UTC) - timedelta(hours=2)
    past = [(0.0, "a", postings[0]), (0.2, "b/0", postings[1]), (0.2, "b/1", "gone"), (0.4, "c", postings[2])]
    log.append([record(name, posting, start + timedelta(seconds=at)) for at, name, posting in past])
    log.append([record("later", postings[3], start + timedelta(minutes=5))])
    window = ("--since", f"{start:%Y-%m-%dT%H:%M:%S}", "--until", f"{start + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}")
    with ScriptedServer(logging_endpoint(log, set())) as server:
        result = load(server, "replay", *window, "--missing", "skip", "--verify-log")
    assert [one.path for one in server.arrived] == ["/v1/classify", "/v1/classify:batch", "/v1/classify"]
    assert result["duration_seconds"] == pytest.approx(0.4)
    replayed = result["replayed"]
    assert (replayed["requests"], replayed["postings"], replayed["postings_missing"]) == (3, 3, 1)
    assert (result["sent"], result["answered"], result["log"]["missing"]) == (3, 3, 0)
    assert len(read(installed)) == 8
    with pytest.raises(MissingInputError, match="serve log"), ScriptedServer(logging_endpoint(log, set())) as server:
        load(server, "replay", "--until", "2020-01-01T00:00:00")
