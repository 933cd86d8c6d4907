"""`plumbline serve tune`, without its command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.model.protocol import TextClassifier, load_model
from plumbline.registry.models import ModelRegistry
from plumbline.settings import Settings
from plumbline.storage import open_store
from plumbline.system import processor_name
from serving.tuning import config_file
from serving.tuning.measure import BatchTimes, Record, measure
from serving.tuning.search import Rule, largest_batch

_POSTINGS = 2000

_OWN_SHARE = 0.8
"""Of a core, that the measuring thread must have had for its times to be the model's and not its neighbours'."""


@dataclass(frozen=True)
class TunePlan:
    """What to tune for."""

    version: str | None
    """Version or alias; None: `serving.model_alias`."""
    snapshot: str
    budget_ms: float
    margin_ms: float
    seconds: float
    """Of measuring, per batch size."""
    out: Path | None
    """YAML file to write to; None: none."""


def tune(settings: Settings, plan: TunePlan, *, progress: Callable[[BatchTimes], None]) -> dict[str, Any]:
    """Measures, decides, and writes.

    Raises:
        MissingInputError: There is no such version or snapshot.
        UserError: The budget leaves nothing, or the file cannot be written.
        GateRefusedError: Not even single postings fit the budget.
    """
    rule = Rule(plan.budget_ms, settings.serving.features_budget_ms, plan.margin_ms, 1 + len(settings.serving.models))
    allowed = rule.allowed_ms()
    # A file that cannot be changed is told before minutes of measuring.
    before = plan.out.read_text(encoding="utf-8") if plan.out is not None and plan.out.is_file() else ""
    config_file.changed(before, 1, [])
    found = ModelRegistry(settings).fetch(plan.version or settings.serving.model_alias)
    _use_threads(settings)
    model = load_model(found.path, settings.model.runtime)
    records = posting_records(settings, plan.snapshot, model)

    def timed(size: int) -> BatchTimes:
        times = measure(model, records, size, seconds=plan.seconds)
        progress(times)
        return times

    size, table = largest_batch(timed, allowed)
    result: dict[str, Any] = {
        "max_batch_size": size,
        "version": found.version,
        "device": device_of(model),
        "busy": not uses_gpu(model) and min(times.cpu_share for times in table) < _OWN_SHARE,
        "budget_ms": rule.budget_ms,
        "features_ms": rule.features_ms,
        "margin_ms": rule.margin_ms,
        "models": rule.models,
        "allowed_batch_p99_ms": allowed,
        "batches": [{**asdict(times), "fits": times.p99_ms <= allowed} for times in table],
        "file": None,
        "diff": "",
    }
    if plan.out is not None:
        after = config_file.changed(before, size, remarks(result))
        config_file.write(plan.out, after)
        result |= {"file": str(plan.out), "diff": config_file.diff(before, after, str(plan.out))}
    return result


def posting_records(settings: Settings, snapshot: str, model: TextClassifier) -> list[Record]:
    """The last postings of a snapshot, with every feature at its default.

    Raises:
        MissingInputError: There is no such snapshot, or it is empty.
    """
    frame: pd.DataFrame = SnapshotStore(open_store(settings)).read(snapshot).tail(_POSTINGS)
    if frame.empty:
        raise MissingInputError(f"Snapshot {snapshot} holds no postings. Name another with --snapshot.")
    defaults = {spec.name: spec.default for spec in model.feature_specs}
    rows = frame[["title", "description"]].fillna("").astype(str)
    return [
        {**defaults, "title": title, "description": description}
        for title, description in rows.itertuples(index=False, name=None)
    ]


def device_of(model: TextClassifier) -> str:
    """Where a model computes, in words."""
    import torch

    chosen = getattr(model, "device", None)
    if uses_gpu(model):
        recorded = ", CUDA graphs" if getattr(chosen, "recorded", False) else ""
        return f"{torch.cuda.get_device_name()}, {getattr(chosen, 'dtype', '')}{recorded}"
    return f"{processor_name()}, {torch.get_num_threads()} thread(s)"


def uses_gpu(model: TextClassifier) -> bool:
    """Whether a model computes on a GPU; one that does not say is on the CPU."""
    return getattr(getattr(getattr(model, "device", None), "device", None), "type", "cpu") == "cuda"


def remarks(result: dict[str, Any]) -> list[str]:
    """What the file says of the number."""
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, version {result['version']}, {result['device']}; a batch may take "
        f"{result['allowed_batch_p99_ms']:.1f} ms of {result['budget_ms']:g} (p99)"
        f"{'; the machine was busy' if result['busy'] else ''}"
    )
    rows = [
        f"{row['batch_size']:5d} postings: p50 {row['p50_ms']:7.2f} ms, p99 {row['p99_ms']:7.2f} ms, "
        f"{row['postings_per_second']:9.0f} postings/s"
        for row in result["batches"]
    ]
    return [head, *rows]


def _use_threads(settings: Settings) -> None:
    """As many as Ray gives a replica."""
    import torch

    torch.set_num_threads(max(1, int(settings.serving.num_cpus)))
