"""Odd and hostile deliveries: what can be read counts, the rest is told, and nobody else is held up."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import schemathesis
from controller_process import until
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from loop_trainers import BlockedTrainer
from starlette.testclient import TestClient

from plumbline import paths
from plumbline.alerts.reading import MOST_ALERTS, UnreadableAlert, read_delivery
from plumbline.controller import database
from plumbline.controller import state as state_module
from plumbline.controller.app import create_app
from plumbline.controller.loop import Loop
from plumbline.controller.state import ControllerState, open_state
from plumbline.settings import Settings, load_settings

URL = "/webhook/alertmanager"


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A controller whose retrainings do not get on."""
    state = open_state(settings)
    with TestClient(create_app(settings, state, Loop(settings, state, BlockedTrainer()))) as client:
        yield client


def _alert(fingerprint: str = "f1", **changed: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "PostingDrift", "model": "posting-classifier", "model_version": "1"},
        "annotations": {},
        "startsAt": "2026-01-07T08:38:00.032813093Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint,
    } | changed


def _delivery(*alerts: Any) -> bytes:
    content = {
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "controller",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": list(alerts),
    }  # fmt: skip
    return json.dumps(content).encode()


def _send(client: TestClient, *alerts: Any) -> list[dict[str, Any]]:
    answer = client.post(URL, content=_delivery(*alerts))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["alerts"]
    return found


def _actions(answers: list[dict[str, Any]]) -> list[str]:
    return [each["action"] for each in answers]


@pytest.mark.parametrize("depth", [900, 5_000, 600_000])
def test_deep_json_is_refused(client: TestClient, depth: int) -> None:
    for body in (b'{"version":"4","x":' + b"[" * depth + b"]" * depth + b"}", b'{"alerts":[' + b'{"a":' * depth):
        assert client.post(URL, content=body).status_code == 422


@pytest.mark.parametrize("where", ["labels", "annotations", "fingerprint", "label name"])
def test_half_a_character_makes_its_alert_unreadable_and_no_other(client: TestClient, where: str) -> None:
    odd = _alert("odd")
    if where == "fingerprint":
        odd["fingerprint"] = "\ud83d"
    elif where == "label name":
        odd["labels"] = {**odd["labels"], "\ud83d": "x"}
    else:
        odd[where] = {**odd[where], "x": "\ud83d"}
    unreadable, read = _send(client, odd, _alert("fine"))
    assert (unreadable["action"], read["action"]) == ("unreadable", "retraining")
    assert "\\ud83d" in unreadable["why"] or "unicode" in unreadable["why"]
    [shown] = [each for each in client.get("/status").json()["alerts"] if each["action"] == "unreadable"]
    assert shown["why"] == unreadable["why"]
    assert 'alerts_total{action="unreadable"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    "end", ["9999-12-31T00:00:00Z", "9999-12-31T23:59:59-12:00", "2300-01-01", "yesterday", "\x00"]
)
@pytest.mark.parametrize("name", ["window_end", "as_of"])
def test_an_instant_that_cannot_be_trained_as_of_is_unreadable(client: TestClient, name: str, end: str) -> None:
    odd, read = _send(client, _alert("odd", annotations={name: end}), _alert("fine"))
    assert (odd["action"], read["action"]) == ("unreadable", "retraining")
    assert f"The annotation {name}" in odd["why"]


def test_annotations_that_nobody_needs_are_not_read(client: TestClient) -> None:
    odd = {"window_end": "yesterday", "snapshot_id": "--help"}
    answers = _send(
        client,
        _alert("w2"),
        _alert("w3", status="resolved", annotations=odd),
        _alert("w4", labels={"alertname": "SomethingElse"}, annotations=odd),
    )
    assert _actions(answers) == ["retraining", "resolved", "recorded"]


@pytest.mark.parametrize("snapshot", ["--help", "../../etc/passwd", "abc", "a b", "", "ab" * 33, "ab\x00" * 8])
def test_a_snapshot_that_is_none_is_unreadable(client: TestClient, snapshot: str) -> None:
    [answer] = _send(client, _alert(annotations={"snapshot_id": snapshot}))
    assert (answer["action"], answer["retraining"]) == ("unreadable", None)
    assert "hexadecimal digits" in answer["why"]
    fine = {"snapshot_id": "ab" * 8}
    assert _actions(_send(client, _alert(annotations=fine))) == ["retraining"], "the advice is right"


def test_an_alert_about_another_model_is_told_and_queues_nothing(settings: Settings, client: TestClient) -> None:
    labels = {"alertname": "PostingDrift", "model": "no-such-model"}
    [answer] = _send(client, _alert(labels=labels))
    assert (answer["action"], answer["retraining"]) == ("other_model", None)
    assert "This controller retrains posting-classifier" in answer["why"]
    assert client.get("/status").json()["retrainings"] == []
    # What the answer says would retrain it.
    other = load_settings(home=settings.home / "other", tracking={"model_name": "no-such-model"})
    state = open_state(other)
    with TestClient(create_app(other, state, Loop(other, state, BlockedTrainer()))) as controller:
        assert _actions(_send(controller, _alert(labels=labels))) == ["retraining"]


def test_a_summary_of_any_kind_can_be_handed_to_a_command(client: TestClient) -> None:
    _send(client, _alert(annotations={"summary": "moved\x00\x1b[31m\r\n" + "x" * 1_000_000}))
    [queued] = client.get("/status").json()["retrainings"]
    assert queued["reason"].startswith("moved [31m xxx")
    assert len(queued["reason"]) == 1000


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "alert",
        [],
        {},
        {"labels": []},
        {"labels": {"alertname": ["x"]}, "fingerprint": {}},
        _alert(labels={}),
        _alert(labels={"alertname": 7}),
        _alert(status="pending"),
        _alert(startsAt="2026-01-07"),
        _alert(startsAt="then"),
        _alert(fingerprint=""),
        {key: value for key, value in _alert().items() if key != "fingerprint"},
    ],
    ids=repr,
)
def test_what_is_no_alert_takes_no_other_with_it(client: TestClient, odd: Any) -> None:
    answers = _send(client, odd, _alert("fine"), odd)
    assert _actions(answers) == ["unreadable", "retraining", "unreadable"]
    assert answers[0]["fingerprint"]
    assert "cannot be read" in answers[0]["why"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[]", "version 4: it should be a mapping of keys to values."),
        (b"{}", "version 4: alerts: it is missing."),
        (b'{"alerts": {}}', "version 4: alerts: it should be a list."),
        (b'{"alerts": [], "version": "3"}', "version 4: version: it should be '4'."),
    ],
)
def test_what_is_no_delivery_is_refused_with_what_it_should_be(client: TestClient, body: bytes, sentence: str) -> None:
    answer = client.post(URL, content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(sentence)


def test_every_answer_says_why(client: TestClient) -> None:
    asked = [
        _alert("a"),
        _alert("b"),
        _alert("c", status="resolved"),
        _alert("d", labels={"alertname": "MonitorFailed"}),
    ]
    answers = _send(client, *asked)
    assert [each["why"] for each in answers] == [
        "Retraining 1 is queued.",
        "Retraining 1 is queued and answers this alert, too.",
        "It is over.",
        "A retraining answers PostingDrift, ModelQualityDrop (controller.act_on).",
    ]


def test_thousands_of_alerts_are_one_transaction(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    writing = database.Database.writing

    def counted(self: database.Database) -> Any:
        begun.append(threading.current_thread().name)
        return writing(self)

    monkeypatch.setattr(database.Database, "writing", counted)
    answers = _send(client, *(_alert(f"f{number}") for number in range(5_000)))
    assert _actions(answers) == ["retraining", *["joined"] * 4_999]
    assert len([each for each in begun if each != "retraining-loop"]) == 1
    monkeypatch.undo()
    assert len(client.get("/status").json()["alerts"]) == 5_000
    assert open_state(settings).count_actions() == {"retraining": 1, "joined": 4_999}


def test_nobody_is_held_up_by_deliveries_that_wait(client: TestClient, settings: Settings) -> None:
    # More of them than there are threads, all waiting for one that writes.
    file = paths.controller_dir(settings) / "state.sqlite"
    answers: list[int] = []
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        senders = [
            threading.Thread(target=lambda: answers.append(client.post(URL, content=_delivery(_alert())).status_code))
            for _ in range(60)
        ]
        for sender in senders:
            sender.start()
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 200
        assert client.get("/status").json()["alerts"] == []
        assert answers == []
        other.execute("ROLLBACK")
    for sender in senders:
        sender.join()
    assert answers == [200] * 60
    assert len(client.get("/status").json()["retrainings"]) == 1


def test_a_state_that_cannot_be_written_is_asked_for_later(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with sqlite3.connect(paths.controller_dir(settings) / "state.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.post(URL, content=_delivery(_alert()))
        other.execute("ROLLBACK")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "database is locked" in answer.json()["detail"]
    assert _actions(_send(client, _alert())) == ["retraining"], "Alertmanager sends it again"


def test_too_many_alerts_are_refused_with_what_to_set(client: TestClient) -> None:
    answer = client.post(URL, content=b'{"alerts":[' + b"0," * MOST_ALERTS + b"0]}")
    assert answer.status_code == 413
    assert "`max_alerts`" in answer.json()["detail"]
    assert len(_send(client, *[0] * MOST_ALERTS)) == MOST_ALERTS


def test_what_senders_fill_is_bounded(client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "EVENTS_KEPT", 10)
    monkeypatch.setattr(state_module, "ALERTS_KEPT", 5)
    for round_ in range(3):
        _send(client, *(_alert(f"{round_}-{number}") for number in range(8)))
    state: ControllerState = open_state(settings)
    assert len(state.events(limit=1000)) == 10
    assert len(state.alerts()) == 5
    assert sum(state.count_actions().values()) == 24, "the counters lose nothing"


_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_INSTANTS = st.datetimes(timezones=st.sampled_from([UTC])).map(datetime.isoformat) | _TEXT


@st.composite
def _any_alert(draw: st.DrawFn) -> Any:
    """An alert with some of its fields replaced by anything."""
    alert = _alert(draw(_TEXT))
    alert["labels"] |= draw(st.dictionaries(_TEXT, _TEXT, max_size=2))
    alert["annotations"] = draw(
        st.fixed_dictionaries(
            {}, optional={"window_end": _INSTANTS, "as_of": _INSTANTS, "snapshot_id": _TEXT, "summary": _TEXT}
        )
    )
    for name in draw(st.lists(st.sampled_from(sorted(alert)), max_size=2)):
        alert[name] = draw(_ODD | _INSTANTS)
    return alert


@hypothesis_settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(alerts=st.lists(_any_alert() | _ODD, min_size=1, max_size=4))
def test_any_list_of_anything_is_answered_one_by_one(client: TestClient, alerts: list[Any]) -> None:
    answers = _send(client, *alerts, _alert("sentinel", labels={"alertname": "Sentinel"}))
    assert len(answers) == len(alerts) + 1
    assert answers[-1]["action"] == "recorded"
    assert all(each["why"] for each in answers)
    assert client.get("/status").status_code == 200
    assert client.get("/events").status_code == 200


@hypothesis_settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | _ODD.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_refused_or_answered(client: TestClient, body: bytes) -> None:
    answer = client.post(URL, content=body)
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_openapi_document_holds(settings: Settings) -> None:
    state = open_state(settings)
    application = create_app(settings, state, Loop(settings, state, BlockedTrainer()))
    config = schemathesis.Config.from_dict({"generation": {"max-examples": 40}, "seed": 7})
    document = schemathesis.openapi.from_asgi("/openapi.json", application, config=config)

    def check(case: schemathesis.Case) -> None:
        response = case.call()
        assert response.status_code < 500 or case.path == "/healthz"

    for operation in document.get_all_operations():
        found = operation.ok()

        @hypothesis_settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
        @given(case=found.as_strategy())
        def send(case: schemathesis.Case) -> None:
            check(case)

        send()


def test_what_a_monitor_sends_is_read_as_it_was_sent() -> None:
    now = datetime.now(UTC)
    [alert] = read_delivery(_delivery(_alert(startsAt=(now - timedelta(days=1)).isoformat())))
    assert not isinstance(alert, UnreadableAlert)
    assert alert.starts_at == now - timedelta(days=1)


def test_deliveries_at_once_queue_one_retraining(client: TestClient) -> None:
    answers: list[str] = []
    senders = [threading.Thread(target=lambda: answers.extend(_actions(_send(client, _alert())))) for _ in range(8)]
    for sender in senders:
        sender.start()
    until(lambda: len(answers) == len(senders))
    assert sorted(answers) == ["joined"] * 7 + ["retraining"]
