"""The folder of a transformer: `config.json`, `weights.safetensors`, `tokenizer.json`. No pickle, nothing executed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from plumbline import __version__
from plumbline.errors import IntegrityError, MissingInputError
from plumbline.faults import reason
from plumbline.features.schema import FeatureSpec
from plumbline.model.protocol import CLASS_KEY, CONFIG_FILE
from plumbline.model.structured import FeatureEncoder
from plumbline.model.transformer.bert import Bert, BertShape
from plumbline.model.transformer.head import PostingHead
from plumbline.model.transformer.tokens import PostingTokenizer

FORMAT: Final = "transformer-1"
WEIGHTS_FILE: Final = "weights.safetensors"
TOKENIZER_FILE: Final = "tokenizer.json"


@dataclass(frozen=True)
class Parts:
    """What a model consists of."""

    labels: list[str]
    tokenizer: PostingTokenizer
    encoder: Bert
    """With the update of its training, if there was one, added to its weights."""
    head: PostingHead
    features: FeatureEncoder
    buckets: tuple[int, ...]
    sharpness: float
    metadata: dict[str, Any]


def write(path: Path, parts: Parts, *, class_path: str) -> None:
    """Writes a model's folder. The configuration comes last: a folder without it holds no model."""
    path.mkdir(parents=True, exist_ok=True)
    weights = {
        f"{part}.{name}": value.detach().to("cpu", torch.float32).contiguous()
        for part, module in (("encoder", parts.encoder), ("head", parts.head))
        for name, value in module.state_dict().items()
    }
    config = {
        "format": FORMAT,
        CLASS_KEY: class_path,
        "plumbline": __version__,
        "labels": parts.labels,
        "sharpness": parts.sharpness,
        "encoder": asdict(parts.encoder.shape),
        "max_tokens": parts.tokenizer.max_tokens,
        "buckets": list(parts.buckets),
        "features": [spec.model_dump() for spec in parts.features.specs],
        "scales": parts.features.scales,
        "values": parts.features.values,
        "metadata": parts.metadata,
    }
    (path / WEIGHTS_FILE).write_bytes(save_tensors(weights))
    (path / TOKENIZER_FILE).write_text(parts.tokenizer.content, encoding="utf-8")
    text = json.dumps(config, indent=2, ensure_ascii=False, default=str)
    (path / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Parts:
    """Reads a model's folder.

    Raises:
        MissingInputError: There is no model in it.
        IntegrityError: It is damaged, or was written by another version of the format.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE):
        if not (path / name).is_file():
            raise MissingInputError(
                f"There is no model in {path}: {name} is missing. Name the folder of a trained model."
            )
    try:
        config = json.loads((path / CONFIG_FILE).read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise IntegrityError(
                f"The model in {path} has format {config['format']}; this version of Plumbline reads {FORMAT}. "
                "Use the version that wrote it, or train a new one."
            )
        weights = load_tensors((path / WEIGHTS_FILE).read_bytes())
        return _parts(config, weights, (path / TOKENIZER_FILE).read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ValidationError) as error:
        raise IntegrityError(
            f"The model in {path} is damaged ({reason(error)}). Fetch it again, or train a new one."
        ) from error


def _parts(config: dict[str, Any], weights: dict[str, Tensor], tokenizer: str) -> Parts:
    labels = [str(label) for label in config["labels"]]
    features = FeatureEncoder(
        [FeatureSpec.model_validate(spec) for spec in config["features"]], config["scales"], config["values"]
    )
    encoder = Bert(BertShape(**config["encoder"]))
    head = PostingHead(
        width=encoder.shape.width,
        classes=len(labels),
        numbers=features.number_count,
        categories=features.category_count,
    )
    for part, module in (("encoder.", encoder), ("head.", head)):
        own = {name.removeprefix(part): value for name, value in weights.items() if name.startswith(part)}
        module.load_state_dict(own, strict=True)
    return Parts(
        labels=labels,
        tokenizer=_tokenizer(tokenizer, int(config["max_tokens"])),
        encoder=encoder,
        head=head,
        features=features,
        buckets=tuple(int(size) for size in config["buckets"]),
        sharpness=float(config["sharpness"]),
        metadata=config["metadata"],
    )


def _tokenizer(content: str, max_tokens: int) -> PostingTokenizer:
    try:
        return PostingTokenizer(content, max_tokens=max_tokens)
    except Exception as error:  # tokenizers raises bare Exception
        raise ValueError(f"{TOKENIZER_FILE}: {error}") from error
