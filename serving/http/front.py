"""What the routes share: the engine, and everything that a request passes on its way to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import Counter

from plumbline.settings.serving import ServingSettings
from serving.access.guard import Guard
from serving.engine.engine import Engine
from serving.errors import RequestRefusedError
from serving.http.drain import Drain
from serving.telemetry.metrics import Metrics
from serving.telemetry.refusals import RefusalLog
from serving.telemetry.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Front:
    """The engine, and everything that a request passes on its way to it."""

    settings: ServingSettings
    engine: Engine
    guard: Guard
    metrics: Metrics
    drain: Drain
    tracing: Tracing
    refusals: RefusalLog = field(default_factory=RefusalLog)
    _counters: dict[tuple[str, int, str], Counter] = field(default_factory=dict)

    def refused(
        self,
        error: RequestRefusedError,
        request_id: str,
        *,
        model: str = "",
        client: str | None = None,
        count: int = 1,
    ) -> None:
        """Counts and logs a request that gets no prediction.

        Args:
            error: What its client is told.
            request_id: Names the request.
            model: What was asked, where that is known.
            client: Who asked, where that is known.
            count: Of so many that are refused alike, this is one.
        """
        kind = (model, error.status, error.title)
        counter = self._counters.get(kind)
        if counter is None:
            counter = self._counters[kind] = self.metrics.requests.labels(model, str(error.status), error.title)
        counter.inc(count)
        self.refusals.refused(error, model=model, request_id=request_id, client=client, count=count)
