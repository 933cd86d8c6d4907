"""Puts one replica together from the settings."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from plumbline.settings import Settings
from serving.engine.endpoint import Endpoint
from serving.engine.features import BudgetedFeatures, FeatureReader
from serving.engine.predictor import Predictor, predict
from serving.engine.served_model import ModelSlot, ModelSource, ServedModel
from serving.prediction_log.segments import spool_dir
from serving.prediction_log.spool import SpoolWriter
from serving.samples import sample_postings
from serving.telemetry.metrics import Metrics

_WARM_UP_ROUNDS = 3
_log = logging.getLogger(__name__)


class Replica:
    """Everything that one replica holds, built in order and closed in reverse.

    Args:
        settings: The installation's settings.
        models: Where models come from.
        features: Online features.
    """

    def __init__(self, settings: Settings, *, models: ModelSource, features: FeatureReader) -> None:
        serving = settings.serving
        self._max_batch_size = serving.max_batch_size
        self._metrics = Metrics(budget_seconds=serving.latency_budget_ms / 1000, spool=spool_dir(settings))
        self._slot = ModelSlot(
            models,
            warm_up=self._warm_up,
            on_load=self._metrics.model_load,
            poll_seconds=serving.alias_poll_seconds,
        )
        self._log = SpoolWriter(
            spool_dir(settings),
            segment_bytes=serving.log.segment_bytes,
            segment_seconds=serving.log.segment_seconds,
            sync_seconds=serving.log.sync_seconds,
        )
        self._predictor = Predictor(
            self._slot,
            BudgetedFeatures(features),
            self._log,
            features_budget=serving.features_budget_ms / 1000,
        )
        self.endpoint = Endpoint(serving, slot=self._slot, predictor=self._predictor, metrics=self._metrics)
        self._slot.start()

    async def close(self) -> None:
        """Answers what waits, forces the log to the disk, stops the threads."""
        await self.endpoint.close()
        self._slot.stop()
        self._predictor.close()
        self._log.close()

    def _warm_up(self, served: ServedModel) -> None:
        """First predictions cost ten times later ones: they are made here, at every size of batch."""
        samples = [
            {"title": posting.title, "description": posting.description}
            for posting in sample_postings(datetime.now(UTC))
        ]
        size = 1
        while size <= self._max_batch_size:
            records = [samples[index % len(samples)] for index in range(size)]
            for _ in range(_WARM_UP_ROUNDS):
                predict(served, records)
            size *= 2


def build_replica(settings: Settings) -> Replica:
    """A replica on the registry's model and the feature store's features.

    Raises:
        MissingInputError: Features are not applied, or the model's files are gone.
        IntegrityError: The model's files are not what was registered.
    """
    from plumbline.features.online import OnlineFeatureReader
    from serving.engine.registry_source import RegistryModels

    return Replica(settings, models=RegistryModels(settings), features=OnlineFeatureReader(settings))
