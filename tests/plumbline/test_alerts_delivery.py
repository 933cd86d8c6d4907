"""Alerts arrive, or are kept and arrive later."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plumbline.alerts.alertmanager import to_api
from plumbline.alerts.delivery import AlertOutbox, DeliveryPolicy
from plumbline.alerts.webhook import build_alert, build_message
from plumbline.errors import DependencyError, UserError
from plumbline.settings.monitoring import AlertReceiver
from plumbline.settings.store import StoreSettings
from plumbline.storage.folder import FolderStore
from plumbline.storage.s3 import S3Store

QUICK = DeliveryPolicy(attempts=3, timeout_seconds=2.0, first_pause_seconds=0.01)


class Receiver:
    """A real HTTP server that answers with the codes it is given, then 200."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.tokens: list[str | None] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.tokens.append(self.headers["Authorization"])
                code = receiver.codes.pop(0) if receiver.codes else 200
                if code == 200:
                    receiver.paths.append(self.path)
                    receiver.bodies.append(json.loads(body))
                self.send_response(code)
                self.end_headers()
                self.wfile.write(b"answer")

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def _message(version: str = "1"):
    alert = build_alert(
        "PostingDrift",
        severity="warning",
        labels={"model": "m", "model_version": version},
        annotations={"summary": "Słowa się zmieniły"},
        starts_at=datetime(2026, 3, 2, tzinfo=UTC),
    )
    return build_message([alert], receiver="loop")


def test_an_alert_arrives_and_is_kept_as_sent(tmp_path: Path, receiver: Receiver) -> None:
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    outbox.write(_message(), [AlertReceiver(url=receiver.url)])
    (sent,) = outbox.flush()
    assert receiver.bodies == [json.loads(_message().to_json())]
    assert sent.startswith("alerts/sent/")
    assert outbox.waiting() == []


def test_a_receiver_that_stumbles_is_tried_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.codes = [503, 429]
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    outbox.write(_message(), [AlertReceiver(url=receiver.url)])
    assert len(outbox.flush()) == 1
    assert len(receiver.bodies) == 1


def test_without_a_receiver_the_alert_waits_and_goes_out_first_next_time(tmp_path: Path, receiver: Receiver) -> None:
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    receiver.codes = [500] * QUICK.attempts
    outbox.write(_message("1"), [AlertReceiver(url=receiver.url)])
    with pytest.raises(DependencyError, match="It is kept as alerts/spool/"):
        outbox.flush()
    assert len(outbox.waiting()) == 1
    outbox.write(_message("2"), [AlertReceiver(url=receiver.url)])
    assert len(outbox.flush()) == 2
    assert [body["groupLabels"]["model_version"] for body in receiver.bodies] == ["1", "2"]


def test_nobody_listens(tmp_path: Path) -> None:
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    outbox.write(_message(), [AlertReceiver(url="http://127.0.0.1:9/webhook")])
    with pytest.raises(DependencyError, match="did not take the alert") as caught:
        outbox.flush()
    assert caught.value.exit_code == 4
    assert len(outbox.waiting()) == 1


def test_a_refused_alert_is_kept_and_not_tried_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.codes = [422]
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    outbox.write(_message(), [AlertReceiver(url=receiver.url)])
    with pytest.raises(UserError, match="refused the alert"):
        outbox.flush()
    assert receiver.codes == []
    assert outbox.waiting() == []
    assert len(list((tmp_path / "alerts" / "refused").glob("*.json"))) == 1


def test_a_message_that_cannot_be_sent_does_not_hold_up_others(tmp_path: Path, receiver: Receiver) -> None:
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    for version, url in (("1", "http://127.0.0.1:9/"), ("2", "http://127.0.0.1:9/"), ("3", receiver.url)):
        outbox.write(_message(version), [AlertReceiver(url=url)])
    with pytest.raises(DependencyError):
        outbox.flush()
    assert [body["groupLabels"]["model_version"] for body in receiver.bodies] == ["3"]
    assert len(outbox.waiting()) == 2


@pytest.mark.parametrize("url", ["controller:8090", "ftp://controller/webhook"])
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    outbox.write(_message(), [AlertReceiver(url=url)])
    with pytest.raises(UserError, match="not an address"):
        outbox.flush()
    assert outbox.waiting() == [], "no later run could send it either"


def test_without_an_address_the_alert_is_a_record(tmp_path: Path) -> None:
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK)
    [key] = outbox.write(_message(), [])
    assert key.startswith("alerts/sent/")
    assert (
        json.loads((tmp_path / key).read_text())["message"]["alerts"][0]["annotations"]["summary"]
        == "Słowa się zmieniły"
    )
    assert outbox.flush() == []


def test_an_alertmanager_gets_its_own_form(tmp_path: Path, receiver: Receiver) -> None:
    policy = replace(QUICK, active_for=timedelta(hours=3))
    outbox = AlertOutbox(FolderStore(tmp_path), policy)
    base = receiver.url.removesuffix("/webhook")
    before = datetime.now(UTC)
    outbox.write(_message(), [AlertReceiver(url=f"{base}/", format="alertmanager")])
    outbox.flush()
    assert receiver.paths == ["/api/v2/alerts"]
    [[alert]] = receiver.bodies
    assert alert["labels"]["alertname"] == "PostingDrift"
    assert alert["annotations"] == {"summary": "Słowa się zmieniły"}
    assert datetime.fromisoformat(alert["startsAt"]) == datetime(2026, 3, 2, tzinfo=UTC)
    left = datetime.fromisoformat(alert["endsAt"]) - before
    assert timedelta(hours=3) <= left < timedelta(hours=3, minutes=5)


def test_an_alert_about_later_postings_does_not_end_before_it_starts() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    [alert] = to_api(_message(), active_for=timedelta(hours=26), now=now)
    assert datetime.fromisoformat(alert["startsAt"]) <= now < datetime.fromisoformat(alert["endsAt"])


def test_what_waits_in_one_pod_is_sent_by_another(s3: Callable[[str], dict[str, Any]], receiver: Receiver) -> None:
    bucket = StoreSettings.model_validate(s3("alerts"))
    receiver.codes = [503] * QUICK.attempts
    first, second = (AlertOutbox(S3Store(bucket), QUICK) for _ in range(2))
    first.write(_message(), [AlertReceiver(url=receiver.url)])
    with pytest.raises(DependencyError):
        first.flush()
    assert len(second.waiting()) == 1
    [sent] = second.flush()
    assert sent.startswith("alerts/sent/")
    assert first.waiting() == []
    assert first.flush() == []
    assert len(receiver.bodies) == 1


def test_a_token_is_shown_and_read_again_for_each_alert(tmp_path: Path, receiver: Receiver) -> None:
    file = tmp_path / "token"
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK, receivers=[AlertReceiver(url=receiver.url, token_file=file)])
    for token in ("a" * 32, "b" * 32):
        file.write_text(f"{token}\nthe next one\n")
        outbox.write(_message(), [AlertReceiver(url=receiver.url)])
        outbox.flush()
    assert receiver.tokens == [f"Bearer {'a' * 32}", f"Bearer {'b' * 32}"]
    assert not any(b"a" * 32 in path.read_bytes() for path in (tmp_path / "alerts").rglob("*.json"))


@pytest.mark.parametrize("fault", [401, 403, "missing", "empty"])
def test_an_alert_waits_for_the_right_token(tmp_path: Path, receiver: Receiver, fault: int | str) -> None:
    file = tmp_path / "token"
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK, receivers=[AlertReceiver(url=receiver.url, token_file=file)])
    if isinstance(fault, int):
        receiver.codes = [fault]
        file.write_text("wrong" * 6)
    elif fault == "empty":
        file.write_text("\n")
    outbox.write(_message(), [AlertReceiver(url=receiver.url)])
    with pytest.raises(
        DependencyError, match=r"It is kept as alerts/spool/.*correct its token_file in monitoring.receivers"
    ):
        outbox.flush()
    assert len(receiver.tokens) == (1 if isinstance(fault, int) else 0), "it is not tried again at once"
    file.write_text("right" * 6)
    assert len(outbox.flush()) == 1
    assert receiver.tokens[-1] == f"Bearer {'right' * 6}"


def test_one_receiver_that_fails_does_not_stop_the_others(tmp_path: Path, receiver: Receiver) -> None:
    base = receiver.url.removesuffix("/webhook")
    addresses = ["http://127.0.0.1:9/a", f"{base}/chat", "http://127.0.0.1:9/b", f"{base}/webhook"]
    receivers = [AlertReceiver(url=url) for url in addresses]
    outbox = AlertOutbox(FolderStore(tmp_path), QUICK, receivers=receivers)
    outbox.write(_message(), receivers)
    with pytest.raises(DependencyError) as said:
        outbox.flush()
    assert receiver.paths == ["/chat", "/webhook"]
    assert [str(said.value).count(f"{url} did not take") for url in addresses] == [1, 0, 1, 0]
    assert len(outbox.waiting()) == 2
    with pytest.raises(DependencyError, match=r"/a did not take.* http://127.0.0.1:9/b did not take"):
        outbox.send_now(_message("2"), receivers)
    assert receiver.paths == ["/chat", "/webhook"] * 2
