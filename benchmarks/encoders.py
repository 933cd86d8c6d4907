"""Both encoders, on a CPU and on a GPU where there is one: what a batch takes, and what 100,000 requests/s would need.

    python benchmarks/encoders.py [--encoders ngrams,transformer] [--devices cpu,cuda] [--sizes 1,4,16,64]
                                  [--seconds 5] [--clock wall] [--out build/bench/encoders.json]

Models are trained here, on generated postings: what a batch takes depends on the texts and on the sizes of the arrays,
not on the weights' values, so the transformer's attention layers stay as they were pretrained. Times are of encoding
and forward pass as a replica's compute thread runs them, one thread on a CPU. Features, HTTP and log are not in them.
`--clock cpu` counts the thread's own time on a CPU: what it would take on a core of its own, on a machine that is busy.

Capacity is what a replica answers when every batch is of the largest size that fits the budget by the rule of
`plumbline serve tune` (2 x p99 + features + margin <= budget), at the load that is given (70% leaves room for bursts).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch

from plumbline.data.generator import GeneratorConfig, generate
from plumbline.features.schema import FeatureSpec
from plumbline.model.protocol import TextClassifier, import_trainer, load_model
from plumbline.settings.model import ModelSettings, RuntimeSettings, TransformerSettings
from plumbline.system import processor_name
from serving.tuning.measure import measure
from serving.tuning.run import device_of
from serving.tuning.search import Rule

REQUESTS_PER_SECOND = 100_000
ROWS = {"ngrams": 8000, "transformer": 200}
TRAINERS = {"ngrams": "plumbline.model.train:train", "transformer": "plumbline.model.transformer.train:train"}
SPECS = [FeatureSpec(name=f"number_{place}", kind="numeric", default=0.0) for place in range(24)] + [
    FeatureSpec(name=f"category_{place}", kind="categorical", default="") for place in range(6)
]
"""As many features as the feature views have."""


def trained(encoder: str, postings: pd.DataFrame, folder: Path) -> Path:
    """A model's folder; trained once per run of this command."""
    rows = postings[postings["label"].notna()].head(ROWS[encoder])
    config = ModelSettings(
        trainer=TRAINERS[encoder],
        refit=False,
        transformer=TransformerSettings(lora_rank=0, head_epochs=5),
        runtime=RuntimeSettings(device="cpu"),
    )
    train = import_trainer(config.trainer)
    train(rows, rows[:0], feature_specs=SPECS, label_terms=None, config=config).model.save(folder)
    return folder


def rows_of(
    encoder: str, device: str, model: TextClassifier, records: list[Any], args: argparse.Namespace
) -> list[Any]:
    """Figures of each batch size, until a batch takes seconds."""
    found = []
    for size in args.sizes:
        busy = device == "cpu" and args.clock == "cpu"
        times = measure(model, records, size, seconds=args.seconds, clock=time.thread_time if busy else perf_counter)
        row = {"encoder": encoder, "device": device, "clock": "cpu" if busy else "wall", **asdict(times)}
        row |= {"encode_us": 1000 * times.encode_p50_ms / size, "forward_us": 1000 * times.forward_p50_ms / size}
        found.append(row)
        print(line(row), flush=True)
        if times.p50_ms > args.longest_ms:
            break
    return found


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    return (
        f"{row['encoder']:12} {row['device']:5} {row['clock']:5} {row['batch_size']:6} {row['p50_ms']:9.2f} "
        f"{row['p99_ms']:9.2f} {row['postings_per_second']:11.0f} {row['encode_us']:9.1f} {row['forward_us']:10.1f} "
        f"{row['repeats']:8}"
    )


def capacity(rows: list[Any], rule: Rule, load: float) -> dict[str, Any]:
    """What a replica carries inside the budget, and how many carry 100,000 requests/s."""
    fits = [row for row in rows if row["p99_ms"] <= rule.allowed_ms()]
    if not fits:
        return {"batch_size": None, "requests_per_second": 0.0, "replicas": None}
    best = max(fits, key=lambda row: row["postings_per_second"])
    rate = load * best["postings_per_second"]
    return {
        "batch_size": best["batch_size"],
        "requests_per_second": rate,
        "replicas": math.ceil(REQUESTS_PER_SECOND / rate),
    }


def devices_of(encoder: str, wanted: list[str]) -> list[str]:
    """The n-gram model's arithmetic is numpy's: it has no GPU path."""
    return [device for device in wanted if device == "cpu" or (encoder == "transformer" and torch.cuda.is_available())]


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names, numbers = (lambda text: text.split(",")), (lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--encoders", type=names, default=list(TRAINERS))
    parser.add_argument("--devices", type=names, default=["cpu", "cuda"])
    parser.add_argument("--sizes", type=numbers, default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--longest-ms", type=float, default=1000.0, help="larger batches are left out after this")
    parser.add_argument("--budget-ms", type=float, default=50.0)
    parser.add_argument("--features-ms", type=float, default=20.0)
    parser.add_argument("--margin-ms", type=float, default=5.0)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: the thread's own time on a CPU")
    parser.add_argument("--load", type=float, default=0.7, help="share of its capacity that a replica is given")
    parser.add_argument("--out", type=Path, default=Path("build/bench/encoders.json"))
    return parser.parse_args()


def main() -> None:
    """Measures, prints, writes."""
    args = parsed()
    torch.set_num_threads(1)
    rule = Rule(args.budget_ms, args.features_ms, args.margin_ms, models=1)
    postings = pd.concat(list(generate(GeneratorConfig(rows=9000, weeks=8))), ignore_index=True)
    records = [
        {**{spec.name: spec.default for spec in SPECS}, "title": title, "description": description}
        for title, description in postings[["title", "description"]].tail(2000).itertuples(index=False, name=None)
    ]
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = {"cpu": processor_name(), "cores": os.cpu_count(), "gpu": cuda, "python": platform.python_version(),
               "torch": torch.__version__, "load_average": os.getloadavg()[0]}  # fmt: skip
    characters = sum(len(record["description"]) for record in records) // len(records)
    print(f"{machine['cpu']}, {machine['cores']} cores, {cuda or 'no GPU here: nothing below is of one'}; "
          f"load average {machine['load_average']:.1f}; postings of {characters} characters")  # fmt: skip
    print(f"{'encoder':12} {'dev.':5} {'clock':5} {'batch':>6} {'p50 ms':>9} {'p99 ms':>9} {'postings/s':>11} "
          f"{'encode us':>9} {'forward us':>10} {'repeats':>8}")  # fmt: skip
    rows, capacities = [], []
    for encoder in args.encoders:
        folder = trained(encoder, postings, args.out.parent / "encoders" / encoder)
        for device in devices_of(encoder, args.devices):
            model = load_model(folder, RuntimeSettings(device=device))
            measured = rows_of(encoder, device, model, records, args)
            rows += measured
            found = {"encoder": encoder, "device": device, "on": device_of(model)}
            capacities.append({**found, **capacity(measured, rule, args.load)})
    print(f"\n{REQUESTS_PER_SECOND:,} requests/s under {args.budget_ms:g} ms, encoder and network alone, batches of at "
          f"most {rule.allowed_ms():g} ms (p99), {args.load:.0%} loaded:")  # fmt: skip
    for each in capacities:
        kind = "GPUs" if each["device"] == "cuda" else "replicas of one core"
        said = (
            "not even one posting fits the budget"
            if each["batch_size"] is None
            else f"{each['requests_per_second']:,.0f}/s in batches of {each['batch_size']}: {each['replicas']} {kind}"
        )
        print(f"  {each['encoder']:12} {each['on']}: {said}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine, "rule": asdict(rule), "load": args.load, "rows": rows, "capacity": capacities}
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
