"""What it costs to bring the online store up to date, by how much has changed: CPU seconds of this process.

Makes its own postings and home. Redis or Postgres: give Feast's section of a running, empty one.

    python benchmarks/materialize.py
    python benchmarks/materialize.py --online-store '{"type": "redis", "connection_string": "127.0.0.1:6379"}'
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.features.materialize import Materialized, materialize
from plumbline.features.repo import feature_repo
from plumbline.features.views import view_file
from plumbline.settings import Settings, load_settings

_START = datetime(2026, 1, 5, tzinfo=UTC)
_DAYS = 182
_COMPANY_VIEWS = ("company_activity", "company_labels")
_SHARES = (0.01, 1.0)


def main() -> None:
    """Runs the cases and prints a line for each, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postings", type=int, default=100_000)
    parser.add_argument("--companies", type=int, default=50_000)
    parser.add_argument("--online-store", type=json.loads, help="Feast's section; SQLite otherwise")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as folder:
        settings = load_settings(home=Path(folder), features={"online_store": arguments.online_store})
        cases = list(_cases(settings, _postings(arguments.postings, arguments.companies)))
    if arguments.json:
        print(json.dumps({"rows": cases}))
        return
    for case in cases:
        print(
            f"{case['case']:<24}{case['cpu_seconds']:>6.1f} CPU s {case['seconds']:>6.1f} s  "
            f"{case['written']:>7,} written {case['unchanged']:>7,} unchanged"
        )


def _cases(settings: Settings, postings: pd.DataFrame) -> Iterator[dict[str, object]]:
    at = _START + timedelta(days=_DAYS)
    repo = feature_repo(settings)
    repo.apply(settings)
    repo.build_views(settings, postings, snapshot_id="benchmark", until=at)
    yield _measured("into an empty store", settings, at)
    yield _measured("full", settings, at, full=True)
    yield _measured("nothing changed", settings, at)
    for share in _SHARES:
        at += timedelta(days=1)
        _change(settings, share, at)
        yield _measured(f"{share:.0%} changed", settings, at)


def _measured(case: str, settings: Settings, at: datetime, *, full: bool = False) -> dict[str, object]:
    cpu, wall = time.process_time(), time.monotonic()
    done: Materialized = materialize(settings, at, full=full)
    spent = {"cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - wall}
    return {"case": case, **spent, **done.counts}


def _change(settings: Settings, share: float, at: datetime) -> None:
    """Gives a share of the companies another last row."""
    for view in _COMPANY_VIEWS:
        path = view_file(settings, view)
        table = pq.read_table(path)
        last = table.to_pandas().sort_values("event_timestamp").drop_duplicates("company", keep="last")
        some = last.sample(frac=share, random_state=1).assign(event_timestamp=pd.Timestamp(at).as_unit("us"))
        more = pa.Table.from_pandas(some, schema=table.schema, preserve_index=False)
        pq.write_table(pa.concat_tables([table, more]), path, coerce_timestamps="us")


def _postings(rows: int, companies: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    seconds = np.sort(random.integers(0, _DAYS * 86_400, rows))
    times = pd.Series([pd.Timestamp(_START)] * rows).dt.as_unit("us") + _seconds(seconds)
    labelled = random.random(rows) < 0.9
    salary = np.where(random.random(rows) < 0.4, 5_000.0, np.nan)
    return pd.DataFrame(
        {
            "event_timestamp": times,
            "company": [f"company {number % companies}" for number in random.permutation(rows)],
            "board": [f"board {number}" for number in random.integers(0, 20, rows)],
            "title": [f"Title {number}" for number in random.integers(0, 500, rows)],
            "salary_min": salary,
            "salary_max": salary,
            "label": pd.Series(random.choice(["a", "b", "c"], rows)).where(labelled, None),
            "label_timestamp": (times + _seconds(random.integers(0, 15 * 86_400, rows))).where(labelled),
        }
    )


def _seconds(values: np.ndarray) -> pd.TimedeltaIndex:
    return pd.to_timedelta(values, unit="s").as_unit("us")


if __name__ == "__main__":
    main()
