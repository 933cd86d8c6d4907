"""Small labelled streams and models for the model's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from plumbline.features.schema import FeatureSpec
from plumbline.model.train import TrainingResult, train
from plumbline.settings.model import ModelSettings

START = datetime(2026, 1, 5, tzinfo=UTC)
SPECS = [
    FeatureSpec(name="company_postings_7d", kind="numeric", default=0.0),
    FeatureSpec(name="board_top_label", kind="categorical", default=""),
]
SMALL = ModelSettings(threads=1, epochs=4, batch_size=64, deep_dim=4, hidden_dim=8, learning_rate=0.02)

_WORDS = {
    "2": (
        ["Software engineer", "Data analyst", "Teacher of physics"],
        "code systems research tests design lessons data",
    ),
    "5": (["Shop assistant", "Waiter", "Carer"], "customers till service shop guests tables care kindness"),
    "7": (["Electrician", "Welder", "Plumber"], "cables pipes metal repair installation tools drawings faults"),
}
_FILLER = "we offer stable work in a friendly team with training and a fair salary apply now with your cv"
_NOISE = 0.1


def stream(count: int, *, seed: int = 0, per_day: int = 20) -> pd.DataFrame:
    """Postings of three classes in the order of time, each label a week later; features as columns."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        label = str(random.choice(list(_WORDS)))
        titles, words = _WORDS[label]
        body = [*random.choice(words.split(), 8), *random.choice(_FILLER.split(), 12)]
        random.shuffle(body)
        if random.random() < _NOISE:
            label = str(random.choice(list(_WORDS)))
        event = START + timedelta(days=number // per_day)
        rows.append(
            {
                "posting_id": f"s{seed}-{number:05d}",
                "event_timestamp": event,
                "company": None if number % 7 == 0 else f"Company {number % 23}",
                "board": f"board-{number % 3}.example",
                "title": str(random.choice(titles)),
                "description": " ".join(map(str, body)),
                "language": "en",
                "label": label,
                "label_timestamp": event + timedelta(days=7),
                "company_postings_7d": float(random.integers(0, 9)),
                "board_top_label": str(random.choice(["2", "5", "7"])),
            }
        )
    frame = pd.DataFrame(rows)
    for column in ("event_timestamp", "label_timestamp"):
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us")
    return frame


def trained(count: int = 400, *, config: ModelSettings = SMALL, **arguments: Any) -> TrainingResult:
    """A model on three quarters of a stream, calibrated on the rest."""
    frame = stream(count)
    cut = count * 3 // 4
    given: dict[str, Any] = {"feature_specs": SPECS, "label_terms": None, **arguments}
    return train(frame.iloc[:cut], frame.iloc[cut:], config=config, **given)
