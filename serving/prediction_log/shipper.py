"""Ships the prediction log in a thread of its own: on a Ray cluster no command stands beside the replica."""

from __future__ import annotations

import logging
import threading

from plumbline.errors import PlumblineError
from plumbline.settings import Settings
from serving.prediction_log.shipping import ship

_log = logging.getLogger(__name__)


class Shipper:
    """Ships complete segments every `serving.log.ship_seconds`, and once more at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log-shipper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ships what is there, the segment that was just closed included."""
        self._stop.set()
        self._thread.join()
        ship_or_warn(self._settings)

    def _work(self) -> None:
        while not self._stop.wait(self._settings.serving.log.ship_seconds):
            ship_or_warn(self._settings)


def ship_or_warn(settings: Settings) -> None:
    """Ships; a store that does not take it now is tried again later."""
    try:
        ship(settings)
    except (PlumblineError, OSError) as error:
        # Segments stay in the spool, where `read` finds them, and are shipped once the store takes them again.
        _log.warning("The prediction log could not be shipped: %s", error)
