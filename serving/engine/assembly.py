"""Puts the engine of one replica together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from plumbline.settings import Settings
from serving.engine.engine import Engine
from serving.engine.features import BudgetedFeatures, FeatureReader
from serving.engine.lane import Lane
from serving.engine.predictor import PredictionLog, Predictor, predict
from serving.engine.served_model import ModelSlot, ModelSource, ServedModel
from serving.engine.variants import Variants
from serving.samples import sample_postings
from serving.telemetry.metrics import Metrics

_WARM_UP_ROUNDS = 3


def assemble(
    settings: Settings,
    *,
    models: Callable[[str], ModelSource],
    features: FeatureReader,
    log: PredictionLog,
    metrics: Metrics,
) -> Engine:
    """Loads every served model, warms it up, and puts the engine around them. Takes seconds.

    Args:
        settings: The installation's settings.
        models: The source of a registered model, by its name.
        features: Online features.
        log: Prediction log; closed by its owner, after the engine.
        metrics: Counts.
    """
    serving = settings.serving
    name = settings.tracking.model_name
    slot = ModelSlot(
        models(name),
        warm_up=lambda served: _warm_up(served, serving.max_batch_size),
        on_load=metrics.model_load,
        poll_seconds=serving.alias_poll_seconds,
    )
    predictor = Predictor(slot, BudgetedFeatures(features), log, features_budget=serving.features_budget_ms / 1000)
    lane = Lane(
        name,
        variants=Variants(slot),
        predictor=predictor,
        metrics=metrics,
        budget_seconds=serving.latency_budget_ms / 1000,
        max_batch_size=serving.max_batch_size,
        max_waiting=serving.max_waiting,
    )
    slot.start()

    def stop() -> None:
        slot.stop()
        predictor.close()

    return Engine({name: lane}, on_close=stop)


def _warm_up(served: ServedModel, max_batch_size: int) -> None:
    """First predictions cost ten times later ones: they are made here, at every size of batch."""
    samples = [
        {"title": posting.title, "description": posting.description} for posting in sample_postings(datetime.now(UTC))
    ]
    size = 1
    while size <= max_batch_size:
        records = [samples[index % len(samples)] for index in range(size)]
        for _ in range(_WARM_UP_ROUNDS):
            predict(served, records)
        size *= 2
