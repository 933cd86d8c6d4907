"""Records and logs for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from plumbline.settings import Settings
from plumbline.settings.serving_log import PredictionLogSettings
from serving.prediction_log import PredictionLog, PredictionRecord
from serving.prediction_log.segments import spool_dir


def record(request_id: str, **changes: Any) -> PredictionRecord:
    """A record of now."""
    values: dict[str, Any] = {
        "request_id": request_id,
        "time": datetime.now(UTC),
        "posting_id": "p",
        "event_timestamp": datetime.fromisoformat("2026-01-05T09:00:00+01:00"),
        "company": None,
        "board": "jobs.example",
        "features": {"board_size": 3.5, "seniority": None},
        "features_expired": [],
        "features_missing": ["company_stats"],
        "features_later": [],
        "label": "2512",
        "probability": 0.75,
        "model_name": "posting-classifier",
        "model_version": "4",
        "degraded": False,
        "degraded_reasons": [],
        "queue_ms": 0.5,
        "features_ms": 1.0,
        "encode_ms": 1.5,
        "model_ms": 2.0,
        "total_ms": 5.0,
    }
    return PredictionRecord(**{**values, **changes})


def with_log(settings: Settings, **changes: Any) -> Settings:
    """The settings with changes under `serving.log`."""
    fields = {**settings.serving.log.model_dump(), "segment_seconds": 3600.0, "sync_seconds": 0.05, **changes}
    serving = settings.serving.model_copy(update={"log": PredictionLogSettings(**fields)})
    return settings.model_copy(update={"serving": serving})


def start(settings: Settings, **changes: Any) -> PredictionLog:
    """A log on the settings' spool."""
    return PredictionLog(spool_dir(settings), with_log(settings, **changes).serving.log)
