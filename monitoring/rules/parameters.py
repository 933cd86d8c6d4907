"""What differs between installations, as recorded series that the rules compare with.

So the rules themselves are the same everywhere: the chart writes only these few series from its values. Each has the
label `namespace`, as every scraped series has: rules join on it, and one Prometheus may watch several installations.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from monitoring.rules.model import Group, Record

Component = Literal["serving", "controller", "exporter", "alertmanager"]
COMPONENTS: tuple[Component, ...] = ("serving", "controller", "exporter", "alertmanager")

OBJECTIVE = "plumbline:objective:ratio"
MONITOR_INTERVAL = "plumbline:monitor_interval:seconds"
RETRAINING_LIMIT = "plumbline:retraining_limit:seconds"
EXPECTED = "plumbline:component:expected"


class Parameters(BaseModel):
    """What the chart's values say about an installation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: str = ""
    """Value of the label `namespace` on the scraped series; empty where they have none."""

    latency_objective: float = Field(default=0.99, ge=0.95, lt=1)
    """Share of answers that come inside the latency budget: the budget is one for the p99. Below 0.94 the fastest
    burn rate, 14.4, could not be reached by any number of failures."""

    availability_objective: float = Field(default=0.999, ge=0.95, lt=1)
    """Share of valid requests that are answered, neither failed nor refused."""

    monitor_interval_seconds: int = Field(default=86400, ge=60)
    """Time between two monitor runs."""

    retraining_limit_seconds: int = Field(default=7200, ge=60)
    """Seconds after which a try of a retraining that still gets on is told to a person."""

    components: tuple[Component, ...] = COMPONENTS
    """What is to be up."""


def parameters_group(parameters: Parameters) -> Group:
    """The recorded series of one installation."""
    where = {"namespace": parameters.namespace} if parameters.namespace else {}
    return Group(
        "plumbline-parameters",
        [
            Record(OBJECTIVE, f"vector({parameters.latency_objective})", {**where, "slo": "latency"}),
            Record(OBJECTIVE, f"vector({parameters.availability_objective})", {**where, "slo": "availability"}),
            Record(MONITOR_INTERVAL, f"vector({parameters.monitor_interval_seconds})", where),
            Record(RETRAINING_LIMIT, f"vector({parameters.retraining_limit_seconds})", where),
            *(Record(EXPECTED, "vector(1)", {**where, "component": component}) for component in parameters.components),
        ],
    )
