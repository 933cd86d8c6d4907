"""Turns what a monitor found into alerts that say what moved, since when, where, how bad, and what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from monitoring.detector import Finding, severity_of
from monitoring.evidence import Slice
from monitoring.window import Window
from plumbline.alerts.webhook import Alert, AlertName, build_alert
from plumbline.settings import Settings

_MOST_NAMED = 3
_CRITICAL = 2.0
"""Distance beyond the threshold, in widths of what is ordinary, from which drift is critical."""


@dataclass(frozen=True)
class Subject:
    """What an alert is about.

    Attributes:
        model: Registered model.
        version: Its version.
        snapshot: Postings that were looked at.
        window: When they were posted.
        policy: Drift policy.
        runbook_url: Where to read what to do.
        report: Page with the details, or nothing.
    """

    model: str
    version: str
    snapshot: str
    window: Window
    policy: str
    runbook_url: str
    report: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """What makes the identity of an alert about this."""
        return {"model": self.model, "model_version": self.version, "policy": self.policy}

    @property
    def annotations(self) -> dict[str, str]:
        """What a controller and a person need besides."""
        return {
            "snapshot_id": self.snapshot,
            "window_start": self.window.start.isoformat(),
            "window_end": self.window.end.isoformat(),
            "runbook_url": self.runbook_url,
            **({"report": self.report} if self.report else {}),
        }


@dataclass(frozen=True)
class Evidence:
    """When a change set in and where it lies."""

    since: datetime | None = None
    slices: list[Slice] = field(default_factory=list)


def alerts_of(findings: list[Finding], subject: Subject, evidence: Evidence) -> list[Alert]:
    """Alerts for the breached findings: one about the data, one about the model's quality; none where all is well."""
    breached = [finding for finding in findings if finding.breached]
    quality = [finding for finding in breached if finding.kind == "accuracy"]
    drift = [finding for finding in breached if finding.kind != "accuracy"]
    alerts = []
    if drift:
        severe = max(severity_of(finding) for finding in drift) >= _CRITICAL
        alerts.append(_alert("PostingDrift", drift, subject, evidence, severe=severe))
    if quality:
        alerts.append(_alert("ModelQualityDrop", quality, subject, evidence, severe=True))
    return alerts


def failure_of(reason: str, subject: Subject) -> Alert:
    """The alert of a monitor that could not judge: silence must never look like health."""
    return build_alert(
        "MonitorFailed",
        severity="critical",
        labels=subject.labels,
        annotations={"summary": f"The monitor could not judge {subject.window}: {reason}", **subject.annotations},
        starts_at=datetime.now(UTC),
    )


def runbook_url(settings: Settings, page: str) -> str:
    """Where to read what to do: a page of the documentation, at the installation's address for it."""
    return page if "://" in page else settings.monitoring.runbook_base_url + page


def describe(finding: Finding) -> str:
    """One finding in words."""
    if finding.value is None or finding.expected is None:
        return f"{finding.column}: not tested ({finding.skipped})"
    value, expected = finding.value, finding.expected
    if finding.kind == "null_share":
        return f"the share of postings without {finding.column} changed by {value:.0%} (usual: {expected:.0%})"
    if finding.kind == "unseen":
        what = "words" if finding.column in ("title", "description") else "values"
        return f"{value:.0%} of the {what} of {finding.column} were never seen before (usual: {expected:.0%})"
    if finding.kind == "accuracy":
        return f"accuracy fell by {value:.1%} (usual: {expected:+.1%})"
    if finding.kind == "confidence":
        return f"mean confidence fell by {value:.2f} (usual: {expected:+.2f})"
    return f"{finding.column} moved by {value:.2f} (usual: {expected:.2f}, limit: {finding.threshold:.2f})"


def _alert(name: AlertName, findings: list[Finding], subject: Subject, evidence: Evidence, *, severe: bool) -> Alert:
    named = "; ".join(describe(finding) for finding in findings[:_MOST_NAMED])
    more = len(findings) - _MOST_NAMED
    since = "" if evidence.since is None else f" Since {evidence.since.date()}."
    columns = list(dict.fromkeys(finding.column for finding in findings))
    return build_alert(
        name,
        severity="critical" if severe else "warning",
        labels=subject.labels,
        annotations={
            "summary": f"{named}{f'; and {more} more' if more > 0 else ''}.{since}",
            "since": "" if evidence.since is None else evidence.since.isoformat(),
            "columns": ", ".join(columns),
            "slices": ", ".join(f"{each.name} ({each.part:.0%})" for each in evidence.slices),
            "findings": json.dumps(
                [
                    {
                        "test": finding.name,
                        "value": finding.value,
                        "expected": finding.expected,
                        "threshold": finding.threshold,
                    }
                    for finding in findings
                ]
            ),
            **subject.annotations,
        },
        starts_at=evidence.since or subject.window.start,
    )
