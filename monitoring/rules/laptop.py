"""Prometheus' configuration for one machine: the jobs that the rules know, at the settings' ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from monitoring.rules.parameters import Component
from plumbline.settings import Settings

CONFIG_FILE = "prometheus.yml"
"""Beside the rules, whose names end with `.yaml`."""

COMPONENTS: tuple[Component, ...] = ("serving", "controller", "exporter")
"""What runs on one machine; an Alertmanager is not among it."""


def prometheus_config(settings: Settings, components: Sequence[Component]) -> str:
    """What `prometheus --config.file` takes, to stand in the folder of the rules."""
    jobs = [_job("prometheus", "localhost:9090"), *(_job(name, *_target(settings, name)) for name in components)]
    content: dict[str, Any] = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "30s"},
        "rule_files": ["*.yaml"],
        "scrape_configs": jobs,
    }
    if "alertmanager" in components:
        content["alerting"] = {
            "alertmanagers": [{"static_configs": [{"targets": list(_target(settings, "alertmanager"))}]}]
        }
    return yaml.safe_dump(content, sort_keys=False)


def _target(settings: Settings, component: Component) -> tuple[str, ...]:
    serving, controller, monitoring = settings.serving, settings.controller, settings.monitoring
    host, port = {
        "serving": (serving.host, serving.port),
        "controller": (controller.host, controller.port),
        "exporter": (monitoring.exporter_host, monitoring.exporter_port),
        "alertmanager": ("localhost", 9093),
    }[component]
    # An address that stands for all of a machine's is listened on, not called.
    host = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    encrypted = component == "controller" and controller.access.certificate_file is not None
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}", *(["https"] if encrypted else []))


def _job(component: str, target: str, scheme: str = "http") -> dict[str, Any]:
    # The certificate may be of a CA of its own, and metrics are open to everyone who reaches the port.
    safe = {"scheme": scheme, "tls_config": {"insecure_skip_verify": True}} if scheme == "https" else {}
    return {"job_name": f"plumbline-{component}", "static_configs": [{"targets": [target]}], **safe}
