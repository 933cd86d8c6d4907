"""What the platform needs of a model. Any class with these members can take the classifier's place.

The pipeline saves it, the registry keeps its folder, serving loads it, and times `encode` (CPU, pre-processing)
and `forward` (the network, perhaps on a GPU) apart. The class is named by the setting `model.class_path`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from plumbline.errors import IntegrityError, MissingInputError, SettingsError
from plumbline.features.schema import FeatureSpec

CONFIG_FILE: Final = "config.json"
CLASS_KEY: Final = "class_path"
DEFAULT_CLASS_PATH: Final = "plumbline.model.classifier:PostingModel"

Record = Mapping[str, Any]
"""`title`, `description`, and the feature values by name; a missing key or None takes the feature's default."""


@runtime_checkable
class Encoded(Protocol):
    """What `encode` hands to `forward`: anything that knows its number of rows."""

    def __len__(self) -> int: ...


@runtime_checkable
class TextClassifier(Protocol):
    """A trained classifier of postings."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            MissingInputError: There is no model in the folder.
            IntegrityError: The folder's content is damaged, or of another version.
        """
        ...

    def save(self, path: Path) -> None:
        """Writes the whole model, pre-processing included, into the folder: plain files, never pickle.

        Its `config.json` must hold the class's import path under `class_path`.
        """
        ...

    @property
    def labels(self) -> list[str]:
        """Classes, in the order of the probabilities' columns."""
        ...

    @property
    def feature_specs(self) -> list[FeatureSpec]:
        """Features that the model was trained with."""
        ...

    @property
    def metadata(self) -> dict[str, Any]:
        """JSON-able facts of the training."""
        ...

    def encode(self, records: Sequence[Record]) -> Any:
        """Pre-processes records on the CPU; safe to call from several threads."""
        ...

    def forward(self, batch: Any) -> NDArray[np.float32]:
        """Calibrated probabilities, shape [records, classes]; safe to call from several threads."""
        ...

    def predict_proba(self, records: Sequence[Record]) -> NDArray[np.float32]:
        """`forward(encode(records))`."""
        ...


def model_class(class_path: str) -> type[TextClassifier]:
    """Imports a model's class.

    Raises:
        SettingsError: It cannot be imported, or lacks a member of `TextClassifier`.
    """
    module_name, _, name = class_path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"The model class {class_path} cannot be imported ({error}). Set model.class_path."
        ) from error
    # `labels`, `feature_specs` and `metadata` may be set when an instance is made.
    needed = ("load", "save", "encode", "forward", "predict_proba")
    missing = [member for member in needed if not hasattr(found, member)]
    if missing:
        raise SettingsError(f"The model class {class_path} has no {', '.join(missing)}; see docs/model.md.")
    checked: type[TextClassifier] = found
    return checked


def load_model(path: Path) -> TextClassifier:
    """Loads the model that lies in a folder, with the class that its `config.json` names.

    Raises:
        MissingInputError: There is no model in the folder.
        IntegrityError: Its `config.json` is not JSON.
        SettingsError: Its class cannot be imported.
    """
    config = path / CONFIG_FILE
    if not config.is_file():
        raise MissingInputError(f"There is no model in {path}: {CONFIG_FILE} is missing.")
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"{config} is not JSON; the model is damaged. Fetch or train it again.") from error
    return model_class(str(content.get(CLASS_KEY, DEFAULT_CLASS_PATH))).load(path)
