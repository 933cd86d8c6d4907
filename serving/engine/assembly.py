"""Puts the engine of one replica together from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from plumbline.settings import Settings
from plumbline.settings.serving_models import ServedModelSettings
from serving.engine.computation import Computation, PredictionLog
from serving.engine.compute import Compute
from serving.engine.engine import Engine
from serving.engine.features import BudgetedFeatures, FeatureReader
from serving.engine.lane import Lane
from serving.engine.served_model import ModelSlot, ModelSource, ServedModel
from serving.engine.variants import Variants
from serving.engine.warm_up import measure
from serving.telemetry.metrics import LaneMetrics, Metrics


def served_models(settings: Settings) -> dict[str, ServedModelSettings]:
    """What is served, by name of the registered model; the default model first."""
    serving = settings.serving
    default = ServedModelSettings(
        alias=serving.model_alias,
        latency_budget_ms=serving.latency_budget_ms,
        max_batch_size=serving.max_batch_size,
        max_batch_wait_ms=serving.max_batch_wait_ms,
        max_waiting=serving.max_waiting,
        batch_chunk_size=serving.batch_chunk_size,
        max_waiting_in_bulk=serving.max_waiting_in_bulk,
    )
    others = {name: model for name, model in serving.models.items() if name != settings.tracking.model_name}
    return {settings.tracking.model_name: default} | others


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
        metrics: Counts; made for the budgets of `served_models`.

    Raises:
        MissingInputError: An alias names no version, or one that nothing covers.
        PlumblineError: A model cannot be loaded.
    """
    compute = Compute()
    budgeted = BudgetedFeatures(features)
    lanes: dict[str, Lane] = {}
    slots: list[ModelSlot] = []

    def stop() -> None:
        for slot in slots:
            slot.stop()
        budgeted.close()

    try:
        for name, model in served_models(settings).items():
            warm_up = _WarmUp(max(model.max_batch_size, model.batch_chunk_size))
            counts = metrics.lane(name)
            slot = ModelSlot(
                models(name),
                warm_up=warm_up,
                on_load=counts.loaded,
                on_state=counts.alias_state,
                follow_any=settings.serving.follow == "any",
                poll_seconds=settings.serving.alias_poll_seconds,
            )
            slots.append(slot)
            lanes[name] = _lane(name, model, slot, settings, compute, budgeted, log, counts)
            warm_up.tell(lanes[name].seed)
    except BaseException:
        stop()
        compute.close()
        raise
    metrics.watch_compute(lambda: compute.busy_seconds)
    for slot in slots:
        slot.start()
    return Engine(lanes, compute=compute, on_close=stop)


def _lane(
    name: str,
    model: ServedModelSettings,
    slot: ModelSlot,
    settings: Settings,
    compute: Compute,
    features: BudgetedFeatures,
    log: PredictionLog,
    metrics: LaneMetrics,
) -> Lane:
    variants = Variants(slot)
    computation = Computation(variants, features, log, features_budget=settings.serving.features_budget_ms / 1000)
    return Lane(
        name,
        variants=variants,
        computation=computation,
        compute=compute,
        metrics=metrics,
        budget_seconds=model.latency_budget_ms / 1000,
        max_batch_size=model.max_batch_size,
        max_batch_wait=model.max_batch_wait_ms / 1000,
        max_waiting=model.max_waiting,
        inline_seconds=settings.serving.inline_batch_ms / 1000,
        chunk_size=model.batch_chunk_size,
        max_waiting_in_bulk=model.max_waiting_in_bulk,
    )


class _WarmUp:
    """Warms versions up, and passes on how long they took: the first one is loaded before its lane is there."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._seconds: Mapping[int, float] = {}
        self._seed: Callable[[Mapping[int, float]], None] | None = None

    def __call__(self, served: ServedModel) -> None:
        self._seconds = measure(served, largest=self._largest)
        if self._seed is not None:
            self._seed(self._seconds)

    def tell(self, seed: Callable[[Mapping[int, float]], None]) -> None:
        self._seed = seed
        seed(self._seconds)
