"""The OpenAPI document against the server that publishes it: schemathesis sends what the document allows, and what it
forbids, to a real port, and holds every answer against the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from http_listening import Listening, listening
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    NotAServerErrorConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.generation import GenerationMode

from plumbline.settings import load_settings
from plumbline.settings.serving_access import AccessSettings

_KEY = "s" * 32
_EXAMPLES = 25

# A budget of a microsecond is allowed by the document, and answered with 503 or 504 in all honesty.
_HONEST = NotAServerErrorConfig(expected_statuses=["2xx", "4xx", 503, 504])
# What JSON Schema cannot say of a posting (a salary needs its currency, a title is more than blanks) is a 422; a model
# by any other name than the one that is served is a 404.
_ACCEPTED = PositiveDataAcceptanceConfig(expected_statuses=["2xx", 404, 422, 503, 504])
_CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(
            generation=GenerationConfig(with_security_parameters=False),  # ours is sent; the checks leave it out
            checks=ChecksConfig(not_a_server_error=_HONEST, positive_data_acceptance=_ACCEPTED),
        )
    )
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    settings = load_settings(home=tmp_path_factory.mktemp("contract"))
    access = AccessSettings(required=True, api_key=SecretStr(_KEY))
    with listening(settings, access=access, max_batch_postings=20) as found:
        yield found


@pytest.fixture(scope="module")
def document(served: Listening) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json", config=_CONFIG)


_OPERATIONS = [
    "POST /v1/classify",
    "POST /v1/classify:batch",
    "POST /v1/models/{model}/classify",
    "POST /v1/models/{model}/classify:batch",
    "POST /v2/models/{model}/infer",
    "GET /",
    "GET /docs",
    "GET /v1/models",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
]


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("label", _OPERATIONS)
def test_answers_are_as_documented(document: Any, label: str, mode: GenerationMode) -> None:
    method, path = label.split(" ")
    operation = document[path][method]
    if mode is GenerationMode.NEGATIVE and method == "GET":
        pytest.skip("takes nothing that could be wrong")

    @hypothesis_settings(
        max_examples=_EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"X-API-Key": _KEY})

    check()


def test_no_operation_of_ours_is_left_out(document: Any) -> None:
    found = {operation.ok().label for operation in document.get_all_operations()}
    assert {label for label in found if " /v2" not in label} == {label for label in _OPERATIONS if " /v2" not in label}
