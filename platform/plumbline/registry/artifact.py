"""Writes a trained model to MLflow: the artefact itself, its signature, its reference and its card."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.errors import PlumblineError
from plumbline.registry.content import CARD_FILE, MODEL_FOLDER, REFERENCE_FILE
from plumbline.registry.runs import Run

_MODEL_CODE = "plumbline.model.mlflow_model"
_EXAMPLES = 20
_NOT_IN_NAMES = str.maketrans(dict.fromkeys("/:.%\"'", "-"))
"""Characters that MLflow refuses in the name of a logged model, and what stands there instead."""

_PACKAGES = ("plumbline", "numpy", "pandas", "torch", "safetensors")


@dataclass(frozen=True)
class LoggedArtifact:
    """A model that MLflow holds."""

    model_id: str
    artifact_uri: str


def log_model(
    run: Run, *, model: Path, reference: Path, card: Path, name: str, metadata: Mapping[str, Any]
) -> LoggedArtifact:
    """Logs a model as a pyfunc from code: no pickle, and the same classes that serving uses.

    Args:
        run: The pipeline run.
        model: Folder named `posting_model`.
        reference: Parquet file named `reference.parquet`.
        card: Markdown file named `model_card.md`.
        name: What lists of models call it.
        metadata: JSON-able facts that MLflow keeps with the model.
    """
    import mlflow
    from mlflow import pyfunc

    _require_names({model: MODEL_FOLDER, reference: REFERENCE_FILE, card: CARD_FILE})
    with mlflow.start_run(run_id=run.run_id, log_system_metrics=False):
        info = pyfunc.log_model(
            name=name.translate(_NOT_IN_NAMES),
            python_model=_code(),
            artifacts={MODEL_FOLDER: str(model), "reference": str(reference), "model_card": str(card)},
            signature=_signature(model, reference),
            metadata=dict(metadata),
            tags={"mlflow.source.name": "plumbline pipeline run training"},
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _PACKAGES],
        )
    return LoggedArtifact(model_id=str(info.model_id), artifact_uri=str(info.artifact_path))


def _signature(model: Path, reference: Path) -> Any:
    from plumbline.model.mlflow_model import signature_and_example
    from plumbline.model.protocol import load_model

    signature, _ = signature_and_example(load_model(model), pd.read_parquet(reference).head(_EXAMPLES))
    return signature


def _code() -> str:
    spec = importlib.util.find_spec(_MODEL_CODE)
    if spec is None or spec.origin is None:
        raise PlumblineError(f"{_MODEL_CODE} is not installed. Install plumbline with its `model` extra.")
    return spec.origin


def _require_names(expected: dict[Path, str]) -> None:
    for path, name in expected.items():
        if path.name != name:
            raise ValueError(f"{path} must be named {name}: MLflow keeps names, and `fetch` looks for them")
