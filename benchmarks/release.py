"""How long a canary that goes bad stays: from its first bad answer to the rollback, here and in the registry.

    python benchmarks/release.py [--home FOLDER] [--rate 100] [--weight 0.05] [--repeat 3]

Open loop, one replica in this process, on the home's champion, its online features and its latest snapshot; the canary
is the same model, so that only the fault that it is given tells it from the champion. The registry is a copy. Writes
build/bench/release.json.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import shutil
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from plumbline.data.contract import PostingRequest
from plumbline.data.snapshot import SnapshotStore
from plumbline.features.online import OnlineFeatureReader
from plumbline.registry.models import ModelRegistry
from plumbline.registry.releases import Releases
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.engine.assembly import assemble, served_models
from serving.engine.intake import parse_posting
from serving.engine.lane import Lane
from serving.engine.query import Answer, Query
from serving.engine.registry_source import RegistryModels
from serving.engine.served_model import Classifier, ServedModel
from serving.errors import RequestRefusedError
from serving.prediction_log import open_log
from serving.release.manager import ReleaseManager
from serving.telemetry.metrics import Metrics

GOOD_SECONDS = 10.0
MOST_SECONDS = 60.0
OUT = Path("build/bench/release.json")


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with the canary, once something is."""

    name: str
    error_share: float = 0.0
    seconds: float = 0.0


FAULTS = (
    Fault("errs on every posting", error_share=1.0),
    Fault("errs on half of them", error_share=0.5),
    Fault("errs on one in five", error_share=0.2),
    Fault("errs on one in ten", error_share=0.1),
    Fault("takes 60 ms more per batch", seconds=0.06),
    Fault("is as good as the champion"),
)


class Faulty:
    """A model that a fault can be given to."""

    def __init__(self, model: Classifier) -> None:
        self._model = model
        self.labels = model.labels
        self.fault = FAULTS[-1]
        self.first_bad: float | None = None

    def encode(self, records: Sequence[Mapping[str, Any]]) -> Any:
        bad = [zlib.crc32(str(record["title"]).encode()) % 1000 < 1000 * self.fault.error_share for record in records]
        if any(bad):
            self._note()
            raise RuntimeError("a fault that was ordered")
        return self._model.encode(records)

    def forward(self, batch: Any) -> np.ndarray:
        if self.fault.seconds:
            self._note()
            time.sleep(self.fault.seconds)
        return self._model.forward(batch)

    def _note(self) -> None:
        self.first_bad = self.first_bad or time.monotonic()


class Models:
    """The registry's models; a released version gets the fault."""

    def __init__(self, settings: Settings) -> None:
        self._models = RegistryModels(settings, settings.tracking.model_name)
        self.canary: Faulty | None = None

    def version(self) -> str | None:
        return self._models.version()

    def uncovered_because(self, version: str) -> str | None:
        return self._models.uncovered_because(version)

    def gone_because(self, version: str) -> str:
        return self._models.gone_because(version)

    def load(self, version: str) -> ServedModel:
        served = self._models.load(version)
        if version == self.version():
            return served
        self.canary = Faulty(served.model)
        return dataclasses.replace(served, model=self.canary)


class AliasWatch:
    """Sees from outside when the registry has no canary any more."""

    def __init__(self, settings: Settings) -> None:
        self._registry = ModelRegistry(settings)
        self._stop = threading.Event()
        self.gone: float | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            if self.gone is None and "canary" not in self._registry.aliases():
                self.gone = time.monotonic()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


async def measure(settings: Settings, postings: pd.DataFrame, fault: Fault, *, rate: float, weight: float) -> dict:
    """One release that goes bad after ten seconds."""
    registry = ModelRegistry(settings)
    champion = registry.get("champion")
    content = registry.fetch("champion").path.parent.parent
    version = registry.register(champion.run_id, artifact_uri=str(content), tags={})
    models, log = Models(settings), open_log(settings)
    budgets = {name: model.latency_budget_ms / 1000 for name, model in served_models(settings).items()}
    features = OnlineFeatureReader(settings, keep_seconds=settings.serving.features_cache_seconds)
    engine = assemble(settings, models=lambda _: models, features=features, log=log, metrics=Metrics(budgets))
    lane = engine.lane()
    manager = ReleaseManager(settings, lane, Releases(settings, registry), models)
    manager.start()
    await asyncio.to_thread(Releases(settings, registry).start, version, "measured", weight=weight, shadow=False)
    while lane.variants.canary is None:
        await asyncio.sleep(0.05)
    assert models.canary is not None
    watch = AliasWatch(settings)
    load = asyncio.create_task(_load(lane, postings, rate))
    await asyncio.sleep(GOOD_SECONDS)
    models.canary.fault = fault
    began, stopped = time.monotonic(), None
    while time.monotonic() - began < MOST_SECONDS and watch.gone is None:
        await asyncio.sleep(0.005)
        if stopped is None and lane.variants.canary is None:
            stopped = time.monotonic()
    load.cancel()
    tasks = await load
    found = await asyncio.gather(*tasks, return_exceptions=True)
    watch.stop()
    await asyncio.to_thread(manager.stop)
    await engine.close()
    log.close()
    releases = Releases(settings, registry)
    if releases.current() is not None:
        releases.abort("measured")
    first = models.canary.first_bad
    return {
        "fault": fault.name,
        "seconds_to_local_stop": _between(first, stopped),
        "seconds_to_registry": _between(first, watch.gone),
        "requests": len(found),
        "canary_answers": sum(isinstance(each, Answer) and each.role == "canary" for each in found),
        "failed": sum(isinstance(each, RequestRefusedError) and each.status == 500 for each in found),
        "refused": sum(isinstance(each, RequestRefusedError) and each.status != 500 for each in found),
        "why": next((entry.why for entry in reversed(releases.history()) if entry.what == "release breach"), None)
        if stopped is not None
        else None,
    }


async def _load(lane: Lane, postings: pd.DataFrame, rate: float) -> list[asyncio.Task[Answer]]:
    """Open loop until it is cancelled; gives the requests that were sent."""
    tasks: list[asyncio.Task[Answer]] = []
    columns = [name for name in PostingRequest.model_fields if name in postings.columns]
    lines = postings[columns].to_json(orient="records", lines=True, date_format="iso", date_unit="us").splitlines()
    bodies = [parse_posting(line.encode(), max_depth=4) for line in lines]
    started, number = time.monotonic(), 0
    try:
        while True:
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            query = Query(bodies[number % len(bodies)], f"{started}-{number}", due, due + lane.budget_seconds)
            tasks.append(asyncio.create_task(lane.answer(query)))
            number += 1
    except asyncio.CancelledError:
        return tasks


def _between(first: float | None, then: float | None) -> float | None:
    return None if first is None or then is None else round(then - first, 2)


def main() -> None:
    """Measures every fault, prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--home", type=Path, default=None)
    options.add_argument("--rate", type=float, default=100.0)
    options.add_argument("--weight", type=float, default=0.05)
    options.add_argument("--repeat", type=int, default=3)
    chosen = options.parse_args()
    logging.disable(logging.ERROR)  # that the canary fails is what is measured
    home = chosen.home or load_settings().home
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "home"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("predictions"))
        settings = load_settings(home=copy)
        postings = SnapshotStore(open_store(settings)).read("latest").tail(2000)
        for turn in range(chosen.repeat):
            for fault in FAULTS:
                row = asyncio.run(measure(settings, postings, fault, rate=chosen.rate, weight=chosen.weight))
                rows.append({"turn": turn, "rate": chosen.rate, "weight": chosen.weight, **row})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    table = pd.DataFrame(rows).groupby("fault", sort=False)[
        ["seconds_to_local_stop", "seconds_to_registry", "failed", "refused"]
    ]
    print(table.agg(["min", "max"]).to_string())


if __name__ == "__main__":
    main()
