"""Two registered versions on the same rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from plumbline.errors import MissingInputError
from plumbline.registry.gate import Candidate, Rows, decide
from plumbline.registry.models import TAG_AS_OF, LoadedModel, ModelRegistry
from plumbline.registry.reference import EVALUATION, PART, answer
from plumbline.settings.pipelines import GateSettings


def compare(registry: ModelRegistry, first: str, second: str, rules: GateSettings) -> dict[str, Any]:
    """Compares two versions on evaluation rows that are later than both trainings.

    Args:
        registry: Where they are.
        first: Version or alias, compared against `second`.
        second: Version or alias.
        rules: Confidence and resampling.

    Returns:
        `rows`, each version's accuracy and macro-F1, and the differences first minus second with their bounds.

    Raises:
        MissingInputError: One of them is not there, or no untouched rows are left.
    """
    models = {"first": registry.fetch(first), "second": registry.fetch(second)}
    rows = untouched_rows(list(models.values()))
    if rows.empty:
        raise MissingInputError(
            f"No evaluated posting is later than both trainings of {first} and {second}. "
            "Score both on a labelled file with `plumbline models evaluate --data FILE --mapping FILE` instead."
        )
    from plumbline.model.protocol import load_model

    answers = {
        name: [str(label) for label in answer(load_model(model.path), rows)[0]] for name, model in models.items()
    }
    verdict = decide(
        Rows(
            truth=rows["label"].tolist(),
            challenger=answers["first"],
            champion=answers["second"],
            boards=rows["board"].tolist(),
        ),
        Candidate(
            calibration_error=0.0, processor_ms=0.0, champion_processor_ms=None, parity=None, parity_objections=()
        ),
        rules.model_copy(update={"min_rows": 1}),
    )
    numbers = verdict.numbers
    return {
        "rows": len(rows),
        "first": {"version": models["first"].version, **numbers["challenger"]},
        "second": {"version": models["second"].version, **numbers["champion"]},
        "difference": numbers["difference"],
        "slices": numbers["slices"],
    }


def trained_until(model: LoadedModel) -> datetime:
    """Instant from which on the version has seen nothing.

    Raises:
        MissingInputError: The version does not say.
    """
    text = model.tags.get(TAG_AS_OF)
    if text is None:
        raise MissingInputError(
            f"Model version {model.version} has no tag {TAG_AS_OF}, so that nobody knows which rows it has not seen. "
            "Register models through the training pipeline."
        )
    return datetime.fromisoformat(text)


def untouched_rows(models: list[LoadedModel]) -> pd.DataFrame:
    """Evaluation rows of any of the models that lie outside every model's training.

    A model's own evaluation rows are outside its training; those of another are when they are later.
    """
    frames = []
    for model in models:
        if model.reference is None:
            continue
        frame = pd.read_parquet(model.reference)
        frame = frame[frame[PART] == EVALUATION]
        for other in models:
            if other is not model:
                frame = frame[frame["event_timestamp"] >= trained_until(other)]
        frames.append(frame)
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames).drop_duplicates("posting_id").reset_index(drop=True)
