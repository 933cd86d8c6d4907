"""Brings alerts to their receiver; what cannot be brought is kept and brought with the next."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx

from plumbline.alerts.alertmanager import api_address, to_api
from plumbline.alerts.webhook import WebhookMessage
from plumbline.errors import DependencyError, MissingInputError, PlumblineError, UserError
from plumbline.storage import ObjectStore

AlertFormat = Literal["webhook", "alertmanager"]
"""`webhook`: the payload that Alertmanager posts, straight to a receiver. `alertmanager`: to an Alertmanager's API."""

_SPOOL = "spool"
_SENT = "sent"
_REFUSED = "refused"


@dataclass(frozen=True)
class DeliveryPolicy:
    """How hard to try, and in which form.

    Attributes:
        attempts: Tries in all.
        timeout_seconds: Longest wait for one answer.
        first_pause_seconds: Pause before the second try; it doubles with each.
        form: What the receiver takes.
        active_for: How long an alert stays active in an Alertmanager that does not hear of it again.
        token_file: File with the bearer token that the receiver asks for, on its first line; read for each message.
    """

    attempts: int = 4
    timeout_seconds: float = 5.0
    first_pause_seconds: float = 0.3
    form: AlertFormat = "webhook"
    active_for: timedelta = timedelta(hours=26)
    token_file: Path | None = None


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
    """

    def __init__(self, store: ObjectStore, policy: DeliveryPolicy | None = None, *, root: str = "alerts") -> None:
        self._store = store
        self._policy = policy or DeliveryPolicy()
        self._root = root

    def write(self, message: WebhookMessage, *, url: str | None) -> str:
        """Writes the message down: to be sent where there is an address, else as a record only.

        Returns:
            Its key, `<root>/spool/...` or `<root>/sent/...`.
        """
        key = f"{self._root}/{_SPOOL if url else _SENT}/{time.time_ns()}-{uuid.uuid4().hex[:8]}.json"
        content = {"url": url, "form": self._policy.form, "message": json.loads(message.to_json())}
        self._store.put(key, json.dumps(content, indent=2, ensure_ascii=False).encode())
        return key

    def waiting(self) -> list[str]:
        """Keys of the messages that have not been delivered, oldest first."""
        return list(self._store.list(f"{self._root}/{_SPOOL}/"))

    def flush(self) -> list[str]:
        """Sends everything that waits, oldest first. One message that cannot be sent does not hold up the others,
        except those to the same receiver, which would only wait for it again.

        Returns:
            Keys that the delivered messages are kept under now.

        Raises:
            DependencyError: A receiver did not take its message; it and later ones to it are kept.
            UserError: A receiver says that the message is wrong; it is put aside.
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
        if errors:
            raise errors[-1]
        return sent

    def send_now(self, message: WebhookMessage, *, url: str) -> None:
        """Sends a message without writing it down: for when there is nowhere to write to.

        Raises:
            DependencyError: The receiver did not take it; it is lost.
            UserError: The receiver refused it, or the address is none; it is lost.
        """
        answer = self._post({"url": url, "form": self._policy.form, "message": json.loads(message.to_json())})
        if not answer.taken:
            error = UserError if answer.final else DependencyError
            raise error(f"{url} did not take the alert ({answer.reason}), and it could not be kept. Look at the store.")

    def _send(self, key: str, content: dict[str, Any]) -> None:
        answer = self._post(content)
        if answer.taken:
            return
        url = content["url"]
        if answer.final:
            kept = self._move(key, _REFUSED)
            raise UserError(f"{url} refused the alert ({answer.reason}). It is kept as {kept}.")
        advice = "correct PLUMBLINE_MONITORING__ALERT_TOKEN_FILE" if answer.unauthenticated else "start the receiver"
        raise DependencyError(
            f"{url} did not take the alert ({answer.reason}). It is kept as {key} and goes out with the next monitor "
            f"run; {advice}."
        )

    def _post(self, content: dict[str, Any]) -> _Answer:
        url, payload = str(content["url"]), content["message"]
        if content.get("form", "webhook") == "alertmanager":
            url = api_address(url)
            payload = to_api(WebhookMessage.model_validate(payload), active_for=self._policy.active_for)
        body = json.dumps(payload, ensure_ascii=False).encode()
        try:
            headers = {"Content-Type": "application/json", **self._authorization()}
        except (OSError, ValueError, IndexError) as error:
            return _Answer(
                taken=False, unauthenticated=True, reason=f"{self._policy.token_file} holds no token: {error}"
            )
        pause, reason = self._policy.first_pause_seconds, ""
        for attempt in range(self._policy.attempts):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                answer = httpx.post(url, content=body, headers=headers, timeout=self._policy.timeout_seconds)
            except httpx.UnsupportedProtocol as error:
                raise UserError(
                    f"{url} is not an address to send alerts to: {error}. Correct PLUMBLINE_MONITORING__ALERT_URL."
                ) from error
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

    def _authorization(self) -> dict[str, str]:
        if self._policy.token_file is None:
            return {}
        token = self._policy.token_file.read_text(encoding="ascii").split()[0]
        return {"Authorization": f"Bearer {token}"}

    def _move(self, key: str, where: str) -> str:
        moved = f"{self._root}/{where}/{key.rpartition('/')[2]}"
        try:
            content = self._store.get(key)
        except MissingInputError:  # another sender has moved it
            return moved
        self._store.put(moved, content)
        self._store.delete(key)
        return moved
