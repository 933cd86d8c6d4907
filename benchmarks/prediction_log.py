"""CPU of the prediction log per record: written in batches, written with masks, shipped as Parquet.

    python benchmarks/prediction_log.py [--records 50000] [--json]

A folder of its own; records of 24 features, made anew each time as the engine does. CPU of the whole process, so the
log's own thread counts; the least of three rounds. `none` is the making of the records, which the other figures are
without.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from plumbline.settings import Settings, load_settings
from plumbline.settings.serving_log import PredictionLogSettings
from serving.prediction_log import PredictionLog, PredictionRecord, ship
from serving.prediction_log.segments import spool_dir

BATCHES = (1, 8, 32, 64)
MASK = {"company": "hash", "client": "hash", "features": "drop"}
_ROUNDS = 3
_FEATURES = {f"feature_{place}": place * 1.37 if place % 4 else f"value {place}" for place in range(24)}


def main() -> None:
    """Measures, prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=50_000)
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    chosen = options.parse_args()
    found = measure(chosen.records)
    print(json.dumps(found, indent=2) if chosen.json else "\n".join(f"{name:24} {us} µs" for name, us in found.items()))


def measure(records: int) -> dict[str, float]:
    """Microseconds of CPU per record, by what is done with it.

    Args:
        records: How many are written in each round.
    """
    made = _least(lambda: _write(None, records, 32))
    found: dict[str, float] = {"none (made only)": round(made / records * 1e6, 2)}
    for mask in ({}, MASK):
        for batch in BATCHES:
            name = f"batches of {batch}{', masked' if mask else ''}"
            sys.stderr.write(f"{name} ...\n")
            found[name] = round((_least(lambda m=mask, b=batch: _logged(m, records, b)[0]) - made) / records * 1e6, 2)
    sys.stderr.write("shipped ...\n")
    found["shipped"] = round(_least(lambda: _logged({}, records, 32)[1]) / records * 1e6, 2)
    return found


def _least(seconds: Any) -> float:
    return min(seconds() for _ in range(_ROUNDS))


def _logged(mask: Mapping[str, Any], records: int, batch: int) -> tuple[float, float]:
    """CPU seconds of writing, and of shipping."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(Path(folder), mask)
        log = PredictionLog(spool_dir(settings), settings.serving.log)
        seconds = _write(log, records, batch)
        log.close()
        start = time.process_time()
        shipped = ship(settings)
        if shipped.rows != records:
            raise SystemExit(f"{records} records were written and {shipped.rows} shipped.")
        return seconds, time.process_time() - start


def _write(log: PredictionLog | None, records: int, batch: int) -> float:
    start = time.process_time()
    for first in range(0, records, batch):
        made = [_record(number) for number in range(first, min(first + batch, records))]
        if log is not None:
            log.append(made)
    return time.process_time() - start


def _record(number: int) -> PredictionRecord:
    now = datetime.now(UTC)
    return PredictionRecord(
        f"benchmark-{number:08x}", now, f"posting-{number}", now, "Example", "jobs.example", _FEATURES, (), (), (),
        "2512", 0.75, "posting-classifier", "4", False, [], 0.512, 1.024, 0.256, 0.128, 2.048, "champion", "anonymous",
    )  # fmt: skip


def _settings(home: Path, mask: Mapping[str, Any]) -> Settings:
    settings = load_settings(home=home)
    key = SecretStr("a key of the benchmark") if mask else None
    log = PredictionLogSettings(**{**settings.serving.log.model_dump(), "mask": dict(mask), "mask_key": key})
    return settings.model_copy(update={"serving": settings.serving.model_copy(update={"log": log})})


if __name__ == "__main__":
    main()
