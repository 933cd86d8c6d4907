"""The prediction log of one replica: every answer, written before it is sent, or counted as left out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from plumbline.errors import SettingsError
from plumbline.settings import Settings
from plumbline.settings.serving_log import PredictionLogSettings
from serving.errors import UnavailableError
from serving.prediction_log.ledger import Ledger, Reason
from serving.prediction_log.masking import Masker
from serving.prediction_log.record import PredictionRecord, line_of
from serving.prediction_log.sampling import position
from serving.prediction_log.segments import spool_dir
from serving.prediction_log.space import measure
from serving.prediction_log.spool import SpoolWriter

_log = logging.getLogger(__name__)


class PredictionLog:
    """Masks, samples and writes records; thread-safe. Nothing waits in memory.

    Args:
        directory: Folder of the spool, made if it is not there.
        settings: Limits and policies.

    Raises:
        SettingsError: The policy of masking cannot be applied.
        OSError: The folder cannot be written to.
    """

    def __init__(self, directory: Path, settings: PredictionLogSettings) -> None:
        self.directory = directory
        self.records = 0
        """Records written so far."""

        self._settings = settings
        self._refuses = settings.when_full == "refuse"
        self._masker = Masker(settings) if settings.mask else None
        self._spool = SpoolWriter(
            directory, segment_bytes=settings.segment_bytes, segment_seconds=settings.segment_seconds
        )
        self._ledger = Ledger(directory, seconds=settings.segment_seconds)
        self._lock = threading.Lock()
        self._unlogged = 0
        self._kept = 1.0
        self._room = 0
        self._measure()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._maintain, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def share(self) -> float:
        """Share of the requests whose records are kept now, by the policy and by the room that is left."""
        return self._settings.sample_rate * self._kept

    @property
    def left_out(self) -> dict[Reason, int]:
        """Records left out so far, by reason."""
        return dict(self._ledger.totals)

    def append(self, records: Sequence[PredictionRecord]) -> None:
        """Writes the records; on return each of them is with the operating system, or counted as left out.

        Raises:
            UnavailableError: The log is closed; or there is no room, or the disk does not take them, and
                `when_full` is `refuse`. None of them was written.
        """
        with self._lock:
            if self._closing:
                raise UnavailableError("the prediction log is closed: the endpoint is stopping")
            if self.share < 1.0:
                records = self._sampled(records)
            if records:
                self._write(records)

    def close(self) -> None:
        """Forces everything to the disk and releases the files, which can then be shipped."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake.set()
        self._thread.join()
        self._spool.close()
        self._ledger.close()

    def _write(self, records: Sequence[PredictionRecord]) -> None:
        if self._masker is None:
            content = b"".join([record.line() for record in records])
        else:
            content = b"".join([line_of(self._masker.fields(record)) for record in records])
        if len(content) > self._room:
            self._leave_out("spool_full", len(records), "its room on the disk is used up")
            return
        try:
            full = self._spool.append(content)
        except OSError as error:
            self._leave_out("write_failed", len(records), str(error))
            return
        self._room -= len(content)
        self.records += len(records)
        if self._unlogged:
            _log.warning("The prediction log takes records again; %d answers went without theirs.", self._unlogged)
            self._unlogged = 0
        if full:
            self._wake.set()

    def _sampled(self, records: Sequence[PredictionRecord]) -> list[PredictionRecord]:
        rate, share = self._settings.sample_rate, self.share
        kept = []
        below_rate = below_share = 0
        for record in records:
            where = position(record.request_id)
            if where >= rate:
                below_rate += 1
            elif where >= share:
                below_share += 1
            else:
                record.sample_rate = share
                kept.append(record)
        if below_rate:
            self._ledger.add("policy", below_rate, share=rate)
        if below_share:
            self._ledger.add("spool_full", below_share, share=share)
        return kept

    def _leave_out(self, reason: Reason, count: int, why: str) -> None:
        if self._refuses:
            raise UnavailableError(f"the prediction log cannot be written: {why}")
        if not self._unlogged:
            _log.error("Answers go on without their records, which are counted as left out: %s.", why)
        self._unlogged += count
        self._ledger.add(reason, count, share=0.0)

    def _maintain(self) -> None:
        while not self._closing:
            self._wake.wait(self._settings.sync_seconds)
            self._wake.clear()
            for task in (self._spool.maintain, self._ledger.maintain, self._measure):
                try:
                    task()
                except OSError as error:
                    _log.warning("The prediction log could not be synced or rotated; trying again: %s", error)

    def _measure(self) -> None:
        space = measure(
            self.directory,
            max_spool_bytes=self._settings.max_spool_bytes,
            min_free_bytes=self._settings.min_free_bytes,
        )
        self._room = space.room
        kept = 1.0 if self._refuses else space.share
        if kept != self._kept:
            self._kept = kept
            _log.warning(
                "The prediction log keeps %g of its records: %d bytes wait to be shipped, %d more have room.",
                kept,
                space.used,
                space.room,
            )


def open_log(settings: Settings) -> PredictionLog:
    """The prediction log of this machine.

    Raises:
        SettingsError: The policy of masking names a feature that there is not, or its key is too short.
        MissingInputError: It names features, and none have been applied.
        OSError: The spool's folder cannot be written to.
    """
    _require_features(settings)
    return PredictionLog(spool_dir(settings), settings.serving.log)


def _require_features(settings: Settings) -> None:
    """A name with a typo would leave the feature in the log."""
    named = {name.partition(".")[2] for name in settings.serving.log.mask if name.startswith("features.")}
    if not named:
        return
    from plumbline.features.schema import feature_specs

    known = [spec.name for spec in feature_specs(settings)]
    unknown = sorted(named - set(known))
    if unknown:
        raise SettingsError(
            f"serving.log.mask names features that there are not: {', '.join(unknown)}. Known: {', '.join(known)}."
        )
