"""Servers of the inference protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http
from oip_server import Oip, StartOip, with_ports
from serving_standins import WordCountModel

from plumbline.settings import Settings, load_settings


@pytest.fixture
def start_oip(settings: Settings) -> Iterator[StartOip]:
    """Starts servers with changed serving settings; stops them at the end."""
    running: list[Oip] = []

    def start(model: WordCountModel | None = None, **changes: Any) -> Oip:
        running.append(Oip(with_ports(settings, **changes), model))
        return running[-1]

    yield start
    for oip in running:
        oip.stop()


@pytest.fixture(scope="session")
def oip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oip]:
    """A server with the usual settings, which all tests share that do not change it."""
    oip = Oip(with_ports(load_settings(home=tmp_path_factory.mktemp("oip"))))
    yield oip
    oip.stop()


@pytest.fixture(params=["rest", "grpc"])
def kind(request: pytest.FixtureRequest) -> Any:
    """The client's module: the same test runs over both."""
    return tritonclient.http if request.param == "rest" else tritonclient.grpc


@pytest.fixture
def client(oip: Oip, kind: Any) -> Iterator[Any]:
    """A client of the shared server."""
    found = oip.client(kind)
    yield found
    found.close()
