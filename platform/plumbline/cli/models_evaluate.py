"""`plumbline models evaluate`: scores a labelled file with a registered model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.cli.output import JsonOption, print_json, print_result, print_rows, progress_console, step
from plumbline.errors import MissingInputError
from plumbline.model.class_names import read_class_names, titled
from plumbline.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

_SNAPSHOT_TAG = "plumbline.snapshot"


def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled file: CSV, JSON Lines or Parquet.")],
    mapping: Annotated[Path, typer.Option(help="Mapping file (YAML) that names the file's columns.")],
    model: Annotated[str, typer.Option(help="Alias, version number, or folder of a model.")] = "champion",
    predictions: Annotated[Path | None, typer.Option(help="Parquet file to write each row's answer to.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Scores a labelled file through the same contract and the same features as training."""
    from plumbline.data.mapping import load_mapping
    from plumbline.model.evaluate import evaluate as score
    from plumbline.model.external import figures, read_file, with_features
    from plumbline.model.protocol import load_model

    settings = load_settings()
    with step("Read and check the file"):
        admission = read_file(settings, data, mapping)
    with step(f"Load the model {model}"):
        folder, version, snapshot = _model(settings, model)
        classifier = load_model(folder)
        names = {**load_mapping(mapping).class_names, **read_class_names(folder)}
        log, snapshot_id = _log(settings, snapshot)
    with step("Compute features as of each posting's time"):
        external = with_features(settings, admission, log, classifier.feature_specs)
    if external.features == "defaults":
        progress_console.print(f"  Features take their defaults: {external.reason}.")
    with step("Score"):
        evaluation = score(classifier, external.rows, seed=settings.model.seed)
        result = {
            "model": {"name": model, "version": version},
            "snapshot_id": snapshot_id,
            **figures(external, evaluation.summary()),
            "class_names": names,
        }
    if predictions is not None:
        predictions.parent.mkdir(parents=True, exist_ok=True)
        answers = evaluation.predictions()
        answers.insert(0, "posting_id", external.rows["posting_id"].to_numpy())
        answers.to_parquet(predictions, index=False)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _model(settings: Settings, name: str) -> tuple[Path, str | None, str | None]:
    """The model's folder, its version, and the snapshot that it was trained on; the last two only from the registry."""
    from plumbline.model.protocol import CONFIG_FILE

    folder = Path(name)
    if (folder / CONFIG_FILE).is_file():
        return folder, None, None
    if folder.is_dir():
        raise MissingInputError(
            f"There is no model in {folder}: {CONFIG_FILE} is missing. Name a trained one's folder."
        )
    from plumbline.registry.models import ModelRegistry

    loaded = ModelRegistry(settings).fetch(name)
    return loaded.path, loaded.version, loaded.tags.get(_SNAPSHOT_TAG)


def _log(settings: Settings, snapshot: str | None) -> tuple[pd.DataFrame | None, str | None]:
    """The posting log that the features are computed over: the model's snapshot, else the latest, else none."""
    from plumbline.data.snapshot import LATEST, SnapshotStore
    from plumbline.storage import open_store

    store = SnapshotStore(open_store(settings))
    for wanted in (snapshot, LATEST):
        if wanted is None:
            continue
        try:
            return store.read(wanted), str(store.resolve(wanted))
        except MissingInputError:
            progress_console.print(f"  There is no snapshot {wanted}.")
    progress_console.print("  Features are computed over the file's own rows alone.")
    return None, None


def _print(result: dict[str, Any]) -> None:
    shown = {
        name: result[name]
        for name in ("n", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval", "weighted_f1", "features")
    }
    shown |= {f"rows {name}": count for name, count in result["rows"].items()}
    shown |= {"calibration error": result["calibration"]["ece"], "model version": result["model"]["version"]}
    print_result(shown, as_json=False, title="Evaluation")
    names = result["class_names"]
    classes = [{"class": titled(label, names), **figures} for label, figures in result["per_class"].items()]
    print_rows(list(classes), as_json=False, title="Classes")
    print_rows(result["slices"], as_json=False, title="Slices")
