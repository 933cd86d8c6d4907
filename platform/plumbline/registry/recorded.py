"""Whether a version's verdict is the one that was written down when it was registered: tags can be edited."""

from __future__ import annotations

from plumbline.registry.audit import AuditLog
from plumbline.registry.names import TAG_VERDICT
from plumbline.registry.versions import ModelVersion


def unrecorded_because(log: AuditLog, name: str, found: ModelVersion) -> str | None:
    """What the audit log has against the verdict in a version's tags; None if nothing.

    Args:
        log: Where registrations stand with their verdicts.
        name: Of the registered model.
        found: The version.

    Raises:
        DependencyError: There is a bucket, and it did not answer.
    """
    said = found.tags.get(TAG_VERDICT)
    if said is None:
        return None
    subject = f"{name}/{found.version}"
    entries = [
        entry for entry in log.read(what=frozenset({"register"}), since=found.created_at) if entry.subject == subject
    ]
    if not entries and log.whole:
        return f"The verdict `{said}` of version {found.version} is in its tags alone: the audit log does not know it."
    for entry in entries:
        recorded = entry.numbers.get("verdict", said)  # older releases did not write it down
        if recorded != said:
            verdict = "no verdict" if recorded is None else f"the verdict `{recorded}`"
            return f"The tags of version {found.version} have the verdict `{said}`, the audit log has {verdict} of it."
    return None
