"""What the server and its models say of themselves."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline import __version__
from serving.engine.lane import Lane
from serving.oip import outputs, postings

SERVER_NAME = "plumbline"
EXTENSIONS = ("binary_tensor_data", "classification")
PLATFORM = "plumbline"


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """An input or output. Sizes of -1 are the number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def server() -> dict[str, object]:
    """The document that describes the server."""
    return {"name": SERVER_NAME, "version": __version__, "extensions": list(EXTENSIONS)}


def inputs() -> list[TensorMetadata]:
    """One tensor per field of the posting contract, and the one that holds whole postings."""
    return [TensorMetadata(name, datatype, (-1,)) for name, datatype in postings.DATATYPES.items()]


def labels(lane: Lane) -> list[str]:
    """The classes of the served version, in the order of the output `probabilities`."""
    return list(lane.variants.champion.current.model.labels)


def outputs_of(lane: Lane) -> list[TensorMetadata]:
    """The outputs of a model."""
    classes = len(lane.variants.champion.current.model.labels)
    return [
        TensorMetadata(name, datatype, (-1, classes) if name == outputs.PROBABILITIES else (-1,))
        for name, datatype in outputs.DATATYPES.items()
    ]


def model(lane: Lane) -> dict[str, object]:
    """The document that describes a model.

    The protocol leaves room for more in JSON: an input says whether it must be sent, the probabilities name their
    classes.
    """
    described = [
        {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape, "parameters": {"required": required}}
        for tensor in inputs()
        for required in (tensor.name in postings.REQUIRED,)
    ]
    given: list[dict[str, object]] = [
        {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape} for tensor in outputs_of(lane)
    ]
    for tensor in given:
        if tensor["name"] == outputs.PROBABILITIES:
            tensor["parameters"] = {"labels": labels(lane)}
    return {
        "name": lane.name,
        "versions": [lane.variants.champion.current.version],
        "platform": PLATFORM,
        "inputs": described,
        "outputs": given,
    }
