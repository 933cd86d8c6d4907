"""The model as an MLflow pyfunc, logged from this file's code (models-from-code): no pickle.

Log it with `mlflow.pyfunc.log_model(python_model=<path of this file>, artifacts={"posting_model": <folder>}, ...)`
and the signature of `signature_and_example`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature, set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.schema import ColSpec, Schema

from plumbline.model.evaluate import predict
from plumbline.model.protocol import TextClassifier, load_model

ARTEFACT: Final = "posting_model"
"""Name of the context artefact that holds the model's folder."""

_EXAMPLE_ROWS: Final = 3


class PostingPyfunc(PythonModel):
    """`predict(frame)`: `title`, `description` and features in; label, probability and one column per class out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the model's folder."""
        self.model: TextClassifier = load_model(Path(context.artifacts[ARTEFACT]))

    def predict(  # type: ignore[no-untyped-def]  # MLflow would check a typed frame against its own hints
        self,
        context: PythonModelContext,  # noqa: ARG002 - the signature is MLflow's
        model_input,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Answers for each row; features that are not columns take their defaults."""
        return answers(self.model, model_input)


def answers(model: TextClassifier, frame: pd.DataFrame) -> pd.DataFrame:
    """`label`, `probability` and `p_<class>` for each class, with the frame's index."""
    probabilities = predict(model, frame).astype(np.float64)
    names = np.array(model.labels, dtype=object)
    result = pd.DataFrame(
        {"label": names[probabilities.argmax(1)], "probability": probabilities.max(1)}, index=frame.index
    )
    for place, label in enumerate(model.labels):
        result[f"p_{label}"] = probabilities[:, place]
    return result


def signature_and_example(model: TextClassifier, frame: pd.DataFrame) -> tuple[ModelSignature, pd.DataFrame]:
    """The pyfunc's signature, and some input rows of it.

    Args:
        model: The model to log.
        frame: Postings; columns that the model does not read are left out, features that it lacks are added empty.
    """
    example = frame.head(_EXAMPLE_ROWS).reset_index(drop=True)
    columns: dict[str, Any] = {name: example[name].astype(str) for name in ("title", "description")}
    for spec in model.feature_specs:
        given = example[spec.name] if spec.name in example.columns else pd.Series([None] * len(example))
        filled = given.astype(object).where(given.notna(), spec.default)
        columns[spec.name] = filled.astype("float64" if spec.kind == "numeric" else str)
    inputs = pd.DataFrame(columns)
    inferred = infer_signature(inputs, answers(model, inputs))
    # Whoever calls the logged model may leave features out: they take their defaults.
    required = ("title", "description")
    inputs_schema = Schema([ColSpec(each.type, each.name, each.name in required) for each in inferred.inputs.inputs])
    signature = ModelSignature(inputs=inputs_schema, outputs=inferred.outputs)
    return signature, inputs


set_model(PostingPyfunc())
