"""What is wrong with a file is told in the file's words: whatever may be wrong with whichever of our models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from monitoring.policy import DriftPolicy
from monitoring.rules.parameters import Parameters
from plumbline.alerts.webhook import WebhookMessage
from plumbline.data.contract import PostingRequest
from plumbline.data.mapping.model import Mapping
from plumbline.faults import _alternatives, explain
from plumbline.settings import Settings
from plumbline.settings._explain import group_of
from serving.load.plan import LoadPlan

GROUPS = [group for field in Settings.model_fields.values() if (group := group_of(field.annotation)) is not None]
ROOTS = (*GROUPS, Mapping, DriftPolicy, Parameters, LoadPlan, WebhookMessage, PostingRequest)
WRONG = (None, True, -7, 0.5, "", "x", [], [[]], {}, {"nonesuch": 1}, {7: 7}, datetime(2026, 1, 1, 10))


def documents(kind: Any) -> Iterator[Any]:
    """What may be wrong in the place of a kind of value: each wrong value itself, or at each key below it."""
    yield from WRONG
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        told_by = {
            name: get_args(field.annotation)[0]
            for name, field in kind.model_fields.items()
            if get_origin(field.annotation) is Literal and name == "kind"
        }
        for name, field in kind.model_fields.items():
            for inner in _alternatives(field.annotation):
                yield from ({**told_by, field.alias or name: value} for value in documents(inner))
    elif arguments := [each for each in get_args(kind) if each is not ...]:
        for inner in _alternatives(arguments[-1]):
            yield from ([value] if get_origin(kind) in (list, tuple) else {"x": value} for value in documents(inner))


def classes(of: type = BaseModel) -> Iterator[str]:
    for each in of.__subclasses__():
        yield each.__name__
        yield from classes(each)


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.__name__)
def test_no_fault_is_told_in_words_of_python(root: type[BaseModel]) -> None:
    ours = set(classes())
    sentences = set()
    for document in documents(root):
        try:
            root.model_validate(document)
        except ValidationError as error:
            sentences.add(explain(error, root))
    python = r"Input|dictionary|instance|tuple|None|validation|datetime|\[key\]|unable to|\bit it\b"
    assert [said for said in sentences if re.search(python, said) or ours & set(re.findall(r"\w+", said))] == []
    assert len(sentences) > 8, "they are found"


NEEDED = ("posting_id", "event_timestamp", "board", "title", "description")


@pytest.mark.parametrize(
    ("root", "content", "sentence"),
    [
        (Mapping, None, "it should be a mapping of keys to values."),
        (Mapping, {"fields": [1, 2]}, "fields has a wrong value: it should be a mapping of keys to values."),
        (
            Mapping,
            {"fields": dict.fromkeys(NEEDED, "x") | {"collected_at": {"constant": datetime(2026, 1, 1, 10)}}},
            "fields.collected_at.constant has a wrong value (2026-01-01 10:00:00): it should be a time with its zone, "
            "such as 2026-01-01T10:00:00Z.",
        ),
        (DriftPolicy, {"nme": "x"}, "the key nme does not exist. Did you mean name?"),
        (DriftPolicy, {"floors": {"zzzz": 1}}, "the key floors.zzzz does not exist. Valid keys: distribution, text, "
         "null_share, unseen, confidence, accuracy."),
        (LoadPlan, {"phases": [{"kind": "ramp", "start": 1, "ent": 2, "seconds": 1}]},
         "the key phases.0.ent does not exist. Did you mean end?"),
        (LoadPlan, {"phases": [{"kind": "steep"}]},
         "phases.0 has a wrong value: its kind ('steep') should be one of 'constant', 'ramp', 'steps', 'spikes'."),
        (LoadPlan, {"phases": []}, "phases has a wrong value: it should have at least 1 item, not 0."),
        (DriftPolicy, {"columns": {}}, "the key name is missing."),
    ],
)  # fmt: skip
def test_a_fault_names_the_key_and_what_is_wanted(root: type[BaseModel], content: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        root.model_validate(content)
    assert explain(caught.value, root) == sentence
