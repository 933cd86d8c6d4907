"""The folder of a model: `config.json` for people, `weights.safetensors` for arrays. No pickle, nothing executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from plumbline import __version__
from plumbline.errors import IntegrityError, MissingInputError
from plumbline.faults import reason
from plumbline.features.schema import FeatureSpec
from plumbline.model.network import PostingNetwork
from plumbline.model.ngrams import NGRAMS_VERSION
from plumbline.model.protocol import CLASS_KEY, CONFIG_FILE
from plumbline.model.structured import FeatureEncoder
from plumbline.model.text import BLOCKS, TextEncoder

FORMAT: Final = 1
WEIGHTS_FILE: Final = "weights.safetensors"

_TABLE: Final = "table.weight"
_BLOCK_TABLE: Final = "network.blocks.{}.weight"
"""The file has the table's rows block by block."""


@dataclass(frozen=True)
class Parts:
    """What a model consists of."""

    labels: list[str]
    text: TextEncoder
    features: FeatureEncoder
    network: PostingNetwork
    sharpness: float
    metadata: dict[str, Any]


def write(path: Path, parts: Parts, *, class_path: str) -> None:
    """Writes a model's folder. The configuration comes last: a folder without it holds no model."""
    path.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().numpy() for name, value in parts.network.state_dict().items()}
    arrays = {f"network.{name}": value for name, value in weights.items() if name != _TABLE}
    for place, rows in enumerate(np.split(weights[_TABLE], np.cumsum(parts.text.sizes)[:-1])):
        arrays[_BLOCK_TABLE.format(place)] = rows
    for name, vocabulary, idf in zip(BLOCKS, parts.text.vocabularies, parts.text.idf, strict=True):
        arrays[f"vocabulary.{name}"] = vocabulary
        arrays[f"idf.{name}"] = idf
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    config = {
        "format": FORMAT,
        CLASS_KEY: class_path,
        "plumbline": __version__,
        "ngrams": NGRAMS_VERSION,
        "labels": parts.labels,
        "sharpness": parts.sharpness,
        "network": {
            "deep_dim": parts.network.deep_dim,
            "hidden_dim": parts.network.hidden_dim,
        },
        "features": [spec.model_dump() for spec in parts.features.specs],
        "scales": parts.features.scales,
        "values": parts.features.values,
        "shapes": {name: list(value.shape) for name, value in sorted(arrays.items())},
        "metadata": parts.metadata,
    }
    (path / WEIGHTS_FILE).write_bytes(save_arrays(arrays))
    text = json.dumps(config, indent=2, ensure_ascii=False, default=str)
    (path / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Parts:
    """Reads a model's folder.

    Raises:
        MissingInputError: There is no model in it.
        IntegrityError: It is damaged, or was written by another version of the format.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (path / name).is_file():
            raise MissingInputError(
                f"There is no model in {path}: {name} is missing. Name the folder of a trained model."
            )
    try:
        config = json.loads((path / CONFIG_FILE).read_text(encoding="utf-8"))
        arrays = load_arrays((path / WEIGHTS_FILE).read_bytes())
        _check(path, config, arrays)
        return _parts(config, arrays)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ValidationError) as error:
        raise IntegrityError(
            f"The model in {path} is damaged ({reason(error)}). Fetch it again, or train a new one."
        ) from error


def _check(path: Path, config: dict[str, Any], arrays: dict[str, Any]) -> None:
    for key, known in (("format", FORMAT), ("ngrams", NGRAMS_VERSION)):
        if config[key] != known:
            raise IntegrityError(
                f"The model in {path} has {key} {config[key]}; this version of Plumbline reads {known}. "
                "Use the version that wrote it, or train a new one."
            )
    shapes = {name: list(value.shape) for name, value in arrays.items()}
    if shapes != config["shapes"]:
        odd = sorted(name for name in {*shapes, *config["shapes"]} if shapes.get(name) != config["shapes"].get(name))
        raise IntegrityError(
            f"The weights in {path} do not fit its {CONFIG_FILE} ({', '.join(odd[:3])}). "
            "Fetch the model again, or train a new one."
        )


def _parts(config: dict[str, Any], arrays: dict[str, Any]) -> Parts:
    text = TextEncoder([arrays[f"vocabulary.{name}"] for name in BLOCKS], [arrays[f"idf.{name}"] for name in BLOCKS])
    specs = [FeatureSpec.model_validate(spec) for spec in config["features"]]
    features = FeatureEncoder(specs, config["scales"], config["values"])
    labels = [str(label) for label in config["labels"]]
    network = PostingNetwork(
        vocabulary=text.sizes,
        classes=len(labels),
        numbers=features.number_count,
        categories=features.category_count,
        **config["network"],
    )
    tables = [_BLOCK_TABLE.format(place) for place in range(len(BLOCKS))]
    weights = {
        name.removeprefix("network."): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith("network.") and name not in tables
    }
    # The row of a block that kept nothing is a stand-in: only a table without any other row needs one.
    kept = sum(text.sizes)
    rows = [arrays[name][: size if kept else None] for name, size in zip(tables, text.sizes, strict=True)]
    table = np.concatenate(rows)[: max(kept, 1)]
    network.load_state_dict({_TABLE: torch.from_numpy(table), **weights}, strict=True)
    return Parts(labels, text, features, network, float(config["sharpness"]), config["metadata"])
