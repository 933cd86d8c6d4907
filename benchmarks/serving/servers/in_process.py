"""The model called in process, nothing around it, by batch size and number of torch's threads.

    BENCH_MODEL_FOLDER=... python -m benchmarks.serving.servers.in_process postings.jsonl --seconds 1

Prints one JSON object: postings per second, and the model's labels of the first postings, which the answers of the
systems are compared with.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import orjson
import torch

from benchmarks.serving.servers.champion import champion, classify

BATCH_SIZES = (1, 16, 32, 64, 128, 256, 512)
THREADS = (1, 2)
"""Of torch; the caller is one thread, as a worker is."""
_CHECKED = 50


def main() -> None:
    """Measures, and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("postings", type=Path, help="one JSON object per line")
    parser.add_argument("--seconds", type=float, default=1.0, help="per batch size")
    options = parser.parse_args()
    model = champion()
    with options.postings.open("rb") as file:
        records = [orjson.loads(line) for line in file]
    rates: list[dict[str, float]] = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        rates += [
            {"batch": size, "threads": threads, **_rate(model, records, size, options.seconds)} for size in BATCH_SIZES
        ]
    print(json.dumps({"rates": rates, "labels": [answer["label"] for answer in classify(model, records[:_CHECKED])]}))


def _rate(model: Any, records: list[dict[str, Any]], size: int, seconds: float) -> dict[str, float]:
    """Postings per second, and CPU time of the process per posting."""
    batches = [records[start : start + size] for start in range(0, len(records) - size + 1, size)]
    for batch in batches[:3]:
        model.predict_proba(batch)
    done, start, cpu = 0, time.monotonic(), time.process_time()
    while (passed := time.monotonic() - start) < seconds:
        model.predict_proba(batches[done // size % len(batches)])
        done += size
    return {"rps": round(done / passed, 1), "cpu_ms": round(1000 * (time.process_time() - cpu) / done, 4)}


if __name__ == "__main__":
    main()
