"""While a canary answers a part: what the protocol says of versions and classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from oip_server import Oip, columns, with_ports
from serving_standins import WordCountModel
from tritonclient.utils import InferenceServerException

from plumbline.settings import load_settings
from serving.engine.query import Query, Role
from serving.engine.release_hook import Outcome
from serving.engine.served_model import ServedModel, now


class Split:
    """The canary gets the posting of the driver."""

    def role_of(self, query: Query) -> Role:
        return "canary" if query.posting.title == "Driver" else "champion"

    def shadows(self, query: Query) -> bool:
        return False

    def observe(self, outcome: Outcome) -> None:
        """Nobody is interested here."""


@pytest.fixture(scope="module")
def canary_oip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oip]:
    """A server whose canary knows the champion's second class, and one of its own in place of the first."""
    oip = Oip(with_ports(load_settings(home=tmp_path_factory.mktemp("canary"))))
    model = WordCountModel()
    model.labels = ["epic", "short"]
    lane = oip.replica.front.engine.lane()
    lane.release = Split()
    lane.variants.canary = ServedModel("word-count", "challenger", "2", "cd" * 32, model, now())
    yield oip
    oip.stop()


def test_rows_of_two_versions_say_which(canary_oip: Oip, kind: Any) -> None:
    result = canary_oip.client(kind).infer(canary_oip.model, columns(kind))
    assert list(result.as_numpy("model_version")) == [b"1", b"2", b"1"]
    response = result.get_response()
    version = response.get("model_version", "") if isinstance(response, dict) else response.model_version
    assert version == ""


def test_probabilities_stand_under_the_classes_of_the_served_version(canary_oip: Oip, kind: Any) -> None:
    result = canary_oip.client(kind).infer(canary_oip.model, columns(kind))
    expected = np.array([[0.9, 0.1], [np.nan, 0.8], [0.2, 0.8]])
    assert result.as_numpy("probabilities") == pytest.approx(expected, nan_ok=True)


def test_the_best_classes_are_each_versions_own(canary_oip: Oip, kind: Any) -> None:
    both = kind.InferRequestedOutput("probabilities", class_count=2)
    result = canary_oip.client(kind).infer(canary_oip.model, columns(kind), outputs=[both])
    assert result.as_numpy("probabilities")[1].tolist() == [b"0.800000:1:short", b"0.200000:0:epic"]


def test_who_names_the_served_version_is_answered_by_no_other(canary_oip: Oip, kind: Any) -> None:
    client = canary_oip.client(kind)
    result = client.infer(canary_oip.model, columns(kind), model_version="1")
    assert list(result.as_numpy("model_version")) == [b"1"] * 3
    with pytest.raises(InferenceServerException) as caught:
        client.infer(canary_oip.model, columns(kind), model_version="2")
    assert caught.value.status() in {"404", "StatusCode.NOT_FOUND"}
