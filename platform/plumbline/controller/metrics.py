"""The controller's figures for Prometheus, read from its database at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from plumbline.controller.records import FINAL, OPEN, State
from plumbline.controller.state import ControllerState

_STATES: tuple[State, ...] = (*OPEN, *FINAL)


class _StateCollector(Collector):
    def __init__(self, state: ControllerState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        retrainings = self._state.retrainings()
        number = Counter(each.state for each in retrainings)
        by_state = GaugeMetricFamily("plumbline_controller_retrainings", "Retrainings by state.", labels=["state"])
        for name in _STATES:
            by_state.add_metric([name], number.get(name, 0))
        yield by_state
        alerts = CounterMetricFamily(
            "plumbline_controller_alerts", "Alerts received, by what was done about them.", labels=["action"]
        )
        for action, count in sorted(self._state.count_actions().items()):
            alerts.add_metric([action], count)
        yield alerts
        ended = [each.ended_at.timestamp() for each in retrainings if each.ended_at is not None]
        yield GaugeMetricFamily(
            "plumbline_controller_last_retraining_timestamp_seconds",
            "When the last retraining ended; 0 before the first.",
            value=max(ended, default=0.0),
        )
        running = [each.started_at.timestamp() for each in retrainings if each.state == "running" and each.started_at]
        yield GaugeMetricFamily(
            "plumbline_controller_retraining_started_timestamp_seconds",
            "When the running retraining's last try began; 0 while none runs.",
            value=min(running, default=0.0),
        )


def render(state: ControllerState) -> tuple[bytes, str]:
    """The page for Prometheus and its content type."""
    registry = CollectorRegistry()
    registry.register(_StateCollector(state))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
