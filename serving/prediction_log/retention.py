"""Deletes what is older than the policy keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from plumbline.errors import UserError
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.prediction_log.hours import hour_of, keys_between
from serving.prediction_log.shipping import LEFT_OUT_PREFIX, OBJECT_PREFIX

_PREFIXES = (OBJECT_PREFIX, LEFT_OUT_PREFIX)


@dataclass(frozen=True)
class Pruned:
    """What was deleted, or would be.

    Attributes:
        objects: How many.
        before: Everything in them is older than this, ISO 8601.
        first: Hour of the oldest one.
        last: Hour of the youngest one.
        dry_run: Nothing was deleted.
    """

    objects: int
    before: str
    first: str | None
    last: str | None
    dry_run: bool


def prune(settings: Settings, *, dry_run: bool = False, now: datetime | None = None) -> Pruned:
    """Deletes shipped hours that ended `serving.log.retention_days` ago or earlier; the audit log has it first.

    An hour that is not over for that long stays whole. The spool is not touched: what it holds is not shipped yet.

    Args:
        settings: The policy, the object store and the audit log.
        dry_run: Only say what would be deleted.
        now: The instant; None is now.

    Raises:
        UserError: The policy keeps everything.
        DependencyError: The object store did not answer.
    """
    days = settings.serving.log.retention_days
    if days is None:
        raise UserError("serving.log.retention_days is not set: everything is kept. Set it to the days to keep.")
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    store = open_store(settings)
    # The hour that `before` lies in is not over for so long: `until` is its beginning.
    until = before.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    doomed = {
        key: hour
        for prefix in _PREFIXES
        for key in keys_between(store, prefix, None, until)
        if (hour := hour_of(key, prefix)) is not None
    }
    result = Pruned(
        len(doomed),
        until.isoformat(),
        min(doomed.values()).isoformat() if doomed else None,
        max(doomed.values()).isoformat() if doomed else None,
        dry_run,
    )
    if doomed and not dry_run:
        AuditLog(settings).append(
            "prune",
            subject="prediction log",
            why=f"retention of {days} days",
            numbers={"objects": result.objects, "before": result.before, "first": result.first, "last": result.last},
        )
        for key in doomed:
            store.delete(key)
    return result
