"""Brings alerts to their receiver; what cannot be brought is kept and brought with the next."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from plumbline.alerts.webhook import WebhookMessage
from plumbline.errors import DependencyError, PlumblineError, UserError

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
    """

    attempts: int = 4
    timeout_seconds: float = 5.0
    first_pause_seconds: float = 0.3


class AlertOutbox:
    """Folder of alerts: each is written down first, then sent, then moved to `sent`
    (or to `refused`, where sending it again would not help).

    A message keeps its file name as its identity, so a crash between the receiver's answer and the move sends
    it twice; the controller takes repeated alerts once.
    """

    def __init__(self, folder: Path, policy: DeliveryPolicy | None = None) -> None:
        self._folder = folder
        self._policy = policy or DeliveryPolicy()

    def write(self, message: WebhookMessage, *, url: str | None) -> Path:
        """Writes the message down: to be sent where there is an address, else as a record only."""
        folder = self._folder / (_SPOOL if url else _SENT)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.json"
        content = {"url": url, "message": json.loads(message.to_json())}
        temporary = path.with_suffix(".incoming")
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)
        return path

    def waiting(self) -> list[Path]:
        """Messages that have not been delivered, oldest first."""
        return sorted((self._folder / _SPOOL).glob("*.json"))

    def flush(self) -> list[Path]:
        """Sends everything that waits, oldest first. One message that cannot be sent does not hold up the others,
        except those to the same receiver, which would only wait for it again.

        Returns:
            Where the delivered messages are kept now.

        Raises:
            DependencyError: A receiver did not take its message; it and later ones to it are kept.
            UserError: A receiver says that the message is wrong; it is put aside.
        """
        sent: list[Path] = []
        errors: list[PlumblineError] = []
        away: set[str] = set()
        for path in self.waiting():
            content = json.loads(path.read_text(encoding="utf-8"))
            url = str(content["url"])
            if url in away:
                continue
            try:
                self._send(path, url, content["message"])
            except DependencyError as error:
                away.add(url)
                errors.append(error)
            except UserError as error:
                errors.append(error)
            else:
                sent.append(self._move(path, _SENT))
        if errors:
            raise errors[-1]
        return sent

    def _send(self, path: Path, url: str, message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False).encode()
        pause, reason = self._policy.first_pause_seconds, ""
        for attempt in range(self._policy.attempts):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                answer = httpx.post(
                    url,
                    content=body,
                    headers={"Content-Type": "application/json"},
                    timeout=self._policy.timeout_seconds,
                )
            except httpx.UnsupportedProtocol as error:
                raise UserError(
                    f"{url} is not an address to send alerts to: {error}. The alert is kept in {path}."
                ) from error
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                continue
            if answer.is_success:
                return
            reason = f"HTTP {answer.status_code}: {answer.text[:200]}"
            if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                kept = self._move(path, _REFUSED)
                raise UserError(f"{url} refused the alert ({reason}). It is kept in {kept}.")
        raise DependencyError(
            f"{url} did not take the alert ({reason}). It is kept in {path} and goes out with the next monitor run; "
            "start the receiver, or send it yourself."
        )

    def _move(self, path: Path, where: str) -> Path:
        folder = self._folder / where
        folder.mkdir(parents=True, exist_ok=True)
        return path.rename(folder / path.name)
