"""Ships the prediction log in a thread of its own: on a Ray cluster no command stands beside the replica."""

from __future__ import annotations

import logging
import threading

from plumbline.errors import PlumblineError
from plumbline.settings import Settings
from serving.prediction_log.segments import spool_dir
from serving.prediction_log.shipping import ship
from serving.prediction_log.shipping_state import note_failure, note_success

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
    """Ships; a store that does not take it now is tried again later, and the failure is counted."""
    spool = spool_dir(settings)
    try:
        shipped = ship(settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, answers go on, and the next round tries again
        # Segments stay in the spool, where `read` finds them, and are shipped once the store takes them again.
        expected = isinstance(error, PlumblineError | OSError)
        _log.warning("The prediction log could not be shipped: %s", error, exc_info=not expected)
        if spool.is_dir():
            note_failure(spool, f"{type(error).__name__}: {error}")
    else:
        if shipped.segments or shipped.damaged:
            note_success(spool, damaged=shipped.damaged)
