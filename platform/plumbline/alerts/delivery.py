"""Brings alerts to their receiver; what cannot be brought is kept and brought with the next."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from plumbline.alerts.alertmanager import api_address, to_api
from plumbline.alerts.webhook import WebhookMessage
from plumbline.errors import DependencyError, MissingInputError, PlumblineError, UserError
from plumbline.settings.monitoring import AlertReceiver
from plumbline.storage import ObjectStore

_SPOOL = "spool"
_SENT = "sent"
_REFUSED = "refused"


@dataclass(frozen=True)
class DeliveryPolicy:
    """How hard to try.

    Attributes:
        attempts: Tries in all.
        timeout_seconds: Longest wait for one answer.
        first_pause_seconds: Pause before the second try; it doubles with each.
        active_for: How long an alert stays active in an Alertmanager that does not hear of it again.
    """

    attempts: int = 4
    timeout_seconds: float = 5.0
    first_pause_seconds: float = 0.3
    active_for: timedelta = timedelta(hours=26)


@dataclass(frozen=True)
class _Answer:
    """What a receiver said at last; `final` where sending it again would not help, `unauthenticated` where it would
    with another token."""

    taken: bool
    final: bool = False
    unauthenticated: bool = False
    reason: str = ""


class AlertOutbox:
    """Part of an object store that holds alerts: each is written down first, then sent, then moved to `sent`
    (or to `refused`, where sending it again would not help).

    A message keeps its name as its identity, so a crash between the receiver's answer and the move sends it twice;
    so do two senders at once. The controller and Alertmanager take repeated alerts once.

    Args:
        store: Where alerts are kept.
        policy: How hard to try.
        receivers: Those whose token files are known; a message that waits is sent with the one of today.
        root: Beginning of the keys.
    """

    def __init__(
        self,
        store: ObjectStore,
        policy: DeliveryPolicy | None = None,
        *,
        receivers: Sequence[AlertReceiver] = (),
        root: str = "alerts",
    ) -> None:
        self._store = store
        self._policy = policy or DeliveryPolicy()
        self._token_files = {receiver.url: receiver.token_file for receiver in receivers}
        self._root = root

    def write(self, message: WebhookMessage, receivers: Sequence[AlertReceiver]) -> list[str]:
        """Writes the message down once for each receiver, to be sent; without any, as a record only.

        Returns:
            The keys, `<root>/spool/...` or `<root>/sent/...`.
        """
        keys = []
        for content in [_letter(message, receiver) for receiver in receivers or (None,)]:
            where = _SPOOL if receivers else _SENT
            key = f"{self._root}/{where}/{time.time_ns()}-{uuid.uuid4().hex[:8]}.json"
            self._store.put(key, json.dumps(content, indent=2, ensure_ascii=False).encode())
            keys.append(key)
        return keys

    def waiting(self) -> list[str]:
        """Keys of the messages that have not been delivered, oldest first."""
        return list(self._store.list(f"{self._root}/{_SPOOL}/"))

    def flush(self) -> list[str]:
        """Sends everything that waits, oldest first. One message that cannot be sent does not hold up the others,
        except those to the same receiver, which would only wait for it again.

        Returns:
            Keys that the delivered messages are kept under now.

        Raises:
            DependencyError: Receivers, each of them named, did not take their messages; they are kept.
            UserError: Receivers say that the message is wrong; it is put aside.
        """
        sent: list[str] = []
        errors: list[PlumblineError] = []
        away: set[str] = set()
        for key in self.waiting():
            try:
                content = json.loads(self._store.get(key))
            except MissingInputError:  # another sender has just delivered it
                continue
            url = str(content["url"])
            if url in away:
                continue
            try:
                self._send(key, content)
            except DependencyError as error:
                away.add(url)
                errors.append(error)
            except UserError as error:
                errors.append(error)
            else:
                sent.append(self._move(key, _SENT))
        _raise_all(errors)
        return sent

    def send_now(self, message: WebhookMessage, receivers: Sequence[AlertReceiver]) -> None:
        """Sends a message without writing it down: for when there is nowhere to write to.

        Raises:
            DependencyError: Receivers did not take it; it is lost for them.
            UserError: Receivers refused it, or their addresses are none; it is lost for them.
        """
        errors: list[PlumblineError] = []
        for receiver in receivers:
            answer = self._post(_letter(message, receiver))
            if not answer.taken:
                error = UserError if answer.final else DependencyError
                lost = f"{receiver.url} did not take the alert ({answer.reason}), and it could not be kept."
                errors.append(error(f"{lost} Look at the store."))
        _raise_all(errors)

    def _send(self, key: str, content: dict[str, Any]) -> None:
        answer = self._post(content)
        if answer.taken:
            return
        url = content["url"]
        if answer.final:
            kept = self._move(key, _REFUSED)
            raise UserError(f"{url} refused the alert ({answer.reason}). It is kept as {kept}.")
        advice = "start the receiver"
        if answer.unauthenticated:
            advice = "correct its token_file in monitoring.receivers"
        raise DependencyError(
            f"{url} did not take the alert ({answer.reason}). It is kept as {key} and goes out with the next monitor "
            f"run; {advice}."
        )

    def _post(self, content: dict[str, Any]) -> _Answer:
        url, payload = str(content["url"]), content["message"]
        token_file = self._token_files.get(url)
        if content.get("form", "webhook") == "alertmanager":
            url = api_address(url)
            payload = to_api(WebhookMessage.model_validate(payload), active_for=self._policy.active_for)
        body = json.dumps(payload, ensure_ascii=False).encode()
        try:
            headers = {"Content-Type": "application/json", **_authorization(token_file)}
        except (OSError, ValueError, IndexError) as error:
            return _Answer(taken=False, unauthenticated=True, reason=f"{token_file} holds no token: {error}")
        pause, reason = self._policy.first_pause_seconds, ""
        for attempt in range(self._policy.attempts):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                answer = httpx.post(url, content=body, headers=headers, timeout=self._policy.timeout_seconds)
            except httpx.UnsupportedProtocol as error:
                return _Answer(taken=False, final=True, reason=f"it is not an address to send alerts to: {error}")
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                continue
            if answer.is_success:
                return _Answer(taken=True)
            reason = f"HTTP {answer.status_code}: {answer.text[:200]}"
            if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                return _Answer(taken=False, unauthenticated=True, reason=reason)
            if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return _Answer(taken=False, final=True, reason=reason)
        return _Answer(taken=False, reason=reason)

    def _move(self, key: str, where: str) -> str:
        moved = f"{self._root}/{where}/{key.rpartition('/')[2]}"
        try:
            content = self._store.get(key)
        except MissingInputError:  # another sender has moved it
            return moved
        self._store.put(moved, content)
        self._store.delete(key)
        return moved


def _letter(message: WebhookMessage, receiver: AlertReceiver | None) -> dict[str, Any]:
    address = {"url": None} if receiver is None else {"url": receiver.url, "form": receiver.format}
    return {**address, "message": json.loads(message.to_json())}


def _authorization(token_file: Path | None) -> dict[str, str]:
    if token_file is None:
        return {}
    return {"Authorization": f"Bearer {token_file.read_text(encoding='ascii').split()[0]}"}


def _raise_all(errors: Sequence[PlumblineError]) -> None:
    """Each failure is said; one of them alone, or of many the kind that another try may help."""
    if errors:
        kind = next((type(error) for error in errors if isinstance(error, DependencyError)), type(errors[0]))
        raise kind(" ".join(dict.fromkeys(map(str, errors))))
