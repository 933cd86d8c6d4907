"""The webhook payload: Alertmanager's form, strict where it matters, tolerant of what is new."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from plumbline.alerts.webhook import NOT_ENDED, WebhookMessage, build_alert, build_message, fingerprint

START = datetime(2026, 3, 2, tzinfo=UTC)

# As an Alertmanager 0.25 sends it: Go's zero time, more fields than we name.
FROM_ALERTMANAGER = {
    "receiver": "plumbline",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "PostingDrift", "model": "posting-classifier", "severity": "warning"},
            "annotations": {"summary": "words moved"},
            "startsAt": "2026-03-02T00:00:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
            "fingerprint": "a1b2c3d4e5f60718",
        }
    ],
    "groupLabels": {"alertname": "PostingDrift"},
    "commonLabels": {"alertname": "PostingDrift"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "version": "4",
    "groupKey": '{}:{alertname="PostingDrift"}',
    "truncatedAlerts": 0,
    "notificationReason": "a field of a later version",
}


def _alert(**labels: str):
    return build_alert(
        "PostingDrift",
        severity="warning",
        labels={"model": "m", "model_version": "1", **labels},
        annotations={"summary": "s"},
        starts_at=START,
    )


def test_alertmanagers_own_payload_is_taken() -> None:
    message = WebhookMessage.model_validate(FROM_ALERTMANAGER)
    assert message.alerts[0].name == "PostingDrift"
    assert message.alerts[0].ends_at == NOT_ENDED
    assert message.alerts[0].starts_at.tzinfo is not None


def test_what_is_written_has_alertmanagers_names_and_is_read_back() -> None:
    message = build_message([_alert()], receiver="loop")
    content = json.loads(message.to_json())
    assert {"version", "groupKey", "status", "receiver", "groupLabels", "commonLabels", "externalURL"} <= set(content)
    assert {"startsAt", "endsAt", "generatorURL", "fingerprint"} <= set(content["alerts"][0])
    assert WebhookMessage.model_validate(content) == message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "3"),
        (("status",), "burning"),
        (("alerts",), []),
        (("alerts", 0, "startsAt"), "yesterday"),
        (("alerts", 0, "startsAt"), "2026-03-02T00:00:00"),
        (("alerts", 0, "labels"), {}),
        (("alerts", 0, "fingerprint"), ""),
    ],
)
def test_a_wrong_value_is_refused(path: tuple, value: object) -> None:
    content = json.loads(json.dumps(FROM_ALERTMANAGER))
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        WebhookMessage.model_validate(content)


def test_a_fingerprint_is_of_the_labels_alone_and_not_of_their_order() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "12", "b": ""})
    assert _alert().fingerprint == _alert().fingerprint
    assert _alert(model_version="2").fingerprint != _alert().fingerprint


def test_a_group_names_what_its_alerts_share() -> None:
    other = build_alert(
        "ModelQualityDrop",
        severity="critical",
        labels={"model": "m", "model_version": "1"},
        annotations={},
        starts_at=START,
    )
    message = build_message([_alert(), other], receiver="loop")
    assert message.common_labels == {"model": "m", "model_version": "1"}
    assert message.group_labels == {"model": "m", "model_version": "1"}
    with pytest.raises(ValueError, match="at least one"):
        build_message([], receiver="loop")
