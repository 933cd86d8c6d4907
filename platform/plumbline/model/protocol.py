"""What the platform needs of a model. Any class with these members can take the classifier's place.

The pipeline saves it, the registry keeps its folder, serving loads it, and times `encode` (CPU, pre-processing)
and `forward` (the network, perhaps on a GPU) apart. The function that trains is named by the setting
`model.trainer`; the class of a trained model stands in its folder's `config.json`.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from plumbline.errors import IntegrityError, MissingInputError, SettingsError
from plumbline.features.schema import FeatureSpec
from plumbline.settings.model import ModelSettings, RuntimeSettings

if TYPE_CHECKING:
    import pandas as pd

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

        A class that can compute in several places has a second parameter, `runtime`: `RuntimeSettings`, or None.
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


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about."""

    model: TextClassifier
    history: list[dict[str, Any]]
    """One entry per epoch, or none: `epoch` and figures such as `loss` and, on the calibration rows, `accuracy`."""


class Trainer(Protocol):
    """Trains a classifier: what the setting `model.trainer` names."""

    def __call__(
        self,
        train: pd.DataFrame,
        calibration: pd.DataFrame,
        *,
        feature_specs: Sequence[FeatureSpec],
        label_terms: pd.DataFrame | None,
        config: ModelSettings,
        on_epoch: Callable[[int, dict[str, Any]], None] | None = None,
    ) -> TrainingResult:
        """Trains.

        Args:
            train: Labelled postings with their feature values: `title`, `description`, `label`, a column per feature.
            calibration: Later ones, same columns; may be empty.
            feature_specs: Features to use; columns that are not there count as missing.
            label_terms: Weak labels (`text`, `label`), or None.
            config: Settings of the group `model`.
            on_epoch: Called after each epoch with its number (from 1) and figures.

        Raises:
            UserError: There is too little to train on.
        """
        ...


def import_trainer(path: str) -> Trainer:
    """Imports the training function that a setting names.

    Raises:
        SettingsError: It cannot be imported, or cannot be called.
    """
    found = _imported(path, "training function", "model.trainer")
    if not callable(found):
        raise SettingsError(f"The training function {path} cannot be called; see docs/model.md.")
    trainer: Trainer = found
    return trainer


def model_class(class_path: str) -> type[TextClassifier]:
    """Imports a model's class.

    Raises:
        SettingsError: It cannot be imported, or lacks a member of `TextClassifier`.
    """
    found = _imported(class_path, "model class", f"`{CLASS_KEY}` in the model's {CONFIG_FILE}")
    # `labels`, `feature_specs` and `metadata` may be set when an instance is made.
    needed = ("load", "save", "encode", "forward", "predict_proba")
    missing = [member for member in needed if not hasattr(found, member)]
    if missing:
        raise SettingsError(f"The model class {class_path} has no {', '.join(missing)}; see docs/model.md.")
    checked: type[TextClassifier] = found
    return checked


def _imported(path: str, what: str, where: str) -> Any:
    module_name, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name.startswith("plumbline."):
            raise  # a library that an extra brings
        if f"{module_name}.".startswith(f"{missing}."):
            raise SettingsError(
                f"The {what} {path} is not found: there is no module {missing}. Install its package into this "
                f"environment, or name the folder that holds it in PYTHONPATH (the working folder is not searched); "
                f"or correct {where}."
            ) from error
        raise SettingsError(
            f"The {what} {path} cannot be imported: it imports {missing}, which is not installed here. Install that."
        ) from error
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"The {what} {path} cannot be imported ({error}). Correct {where}.") from error
    except Exception as error:
        raise SettingsError(
            f"The {what} {path} cannot be imported: {module_name} raises {type(error).__name__} ({error}). Mend that."
        ) from error


def load_model(path: Path, runtime: RuntimeSettings | None = None) -> TextClassifier:
    """Loads the model that lies in a folder, with the class that its `config.json` names.

    Args:
        path: Folder of the model.
        runtime: Where it computes, if its class has a choice (its `load` has a parameter `runtime`).

    Raises:
        MissingInputError: There is no model in the folder.
        IntegrityError: Its `config.json` is no JSON object.
        SettingsError: Its class cannot be imported.
    """
    found = model_class(class_path_of(path))
    if runtime is not None and "runtime" in inspect.signature(found.load).parameters:
        chosen: TextClassifier = cast("Any", found).load(path, runtime=runtime)
        return chosen
    return found.load(path)


def class_path_of(path: Path) -> str:
    """Import path of the class of the model that lies in a folder.

    Raises:
        MissingInputError: There is no model in the folder.
        IntegrityError: Its `config.json` is no JSON object.
    """
    config = path / CONFIG_FILE
    if not config.is_file():
        raise MissingInputError(
            f"There is no model in {path}: {CONFIG_FILE} is missing. Name a trained model's folder."
        )
    try:
        return str(json.loads(config.read_text(encoding="utf-8")).get(CLASS_KEY, DEFAULT_CLASS_PATH))
    except (ValueError, AttributeError) as error:
        raise IntegrityError(f"{config} is no JSON object; the model is damaged. Fetch or train it again.") from error
