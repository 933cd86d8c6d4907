"""Alertmanager's webhook payload, version 4: what monitors send and the controller takes.

The form is that of Alertmanager's `webhook_config`
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config). Unknown fields are ignored, as a
later Alertmanager may send more; an alert in which a known field has a wrong value is unreadable, and the others of
its delivery count (`plumbline.alerts.reading`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Status = Literal["firing", "resolved"]
Severity = Literal["info", "warning", "critical"]
AlertName = Literal["PostingDrift", "ModelQualityDrop", "MonitorFailed"]

NOT_ENDED = datetime(1, 1, 1, tzinfo=UTC)
"""Alertmanager's "has not ended": Go's zero time."""

Labels = dict[str, str]


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Alert(_Tolerant):
    """One alert of a group."""

    status: Status
    labels: Annotated[Labels, Field(min_length=1)]
    annotations: Labels = Field(default_factory=dict)
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime = Field(default=NOT_ENDED, alias="endsAt")
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: Annotated[str, Field(min_length=1)]

    @property
    def name(self) -> str:
        """The label `alertname`."""
        return self.labels.get("alertname", "")


class WebhookMessage(_Tolerant):
    """One delivery: a group of alerts that share the group labels."""

    version: Literal["4"] = "4"
    group_key: Annotated[str, Field(alias="groupKey", min_length=1)]
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts", ge=0)
    status: Status
    receiver: str
    group_labels: Labels = Field(default_factory=dict, alias="groupLabels")
    common_labels: Labels = Field(default_factory=dict, alias="commonLabels")
    common_annotations: Labels = Field(default_factory=dict, alias="commonAnnotations")
    external_url: str = Field(default="", alias="externalURL")
    alerts: Annotated[list[Alert], Field(min_length=1)]

    def to_json(self) -> str:
        """The payload as Alertmanager writes it."""
        return self.model_dump_json(by_alias=True)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Identity of an alert: a digest of its labels, 16 hexadecimal digits as Alertmanager's."""
    text = "\xff".join(f"{name}\xfe{labels[name]}" for name in sorted(labels))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_alert(
    name: AlertName,
    *,
    severity: Severity,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    starts_at: datetime,
    generator_url: str = "",
) -> Alert:
    """An alert that fires.

    Args:
        name: What happened.
        severity: How bad it is.
        labels: What it is about (model, version, ...); they make its identity, so nothing that varies from
            one look to the next belongs here.
        annotations: What a reader wants to know: summary, since, columns, slices, runbook_url.
        starts_at: Since when, UTC.
        generator_url: Where its reader finds more.
    """
    everything = {**labels, "alertname": name, "severity": severity}
    return Alert(
        status="firing",
        labels=everything,
        annotations=dict(annotations),
        starts_at=starts_at,
        generator_url=generator_url,
        fingerprint=fingerprint(everything),
    )


def build_message(alerts: list[Alert], *, receiver: str, external_url: str = "") -> WebhookMessage:
    """Groups alerts of one monitor run into one delivery.

    Raises:
        ValueError: There is no alert to send.
    """
    if not alerts:
        raise ValueError("A delivery needs at least one alert.")
    common = _common([alert.labels for alert in alerts])
    group = {name: common[name] for name in ("model", "model_version") if name in common}
    key = ",".join(f'{name}="{value}"' for name, value in sorted(group.items()))
    firing = any(alert.status == "firing" for alert in alerts)
    return WebhookMessage(
        group_key=f"{{}}:{{{key}}}",
        status="firing" if firing else "resolved",
        receiver=receiver,
        group_labels=group,
        common_labels=common,
        common_annotations=_common([alert.annotations for alert in alerts]),
        external_url=external_url,
        alerts=alerts,
    )


def _common(entries: list[Labels]) -> Labels:
    first, *others = entries
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
