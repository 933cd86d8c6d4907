"""Plain FastAPI on uvicorn, doing what `plumbline serve run` does for a posting, one request after the other.

The whole contract is validated, personal details are masked, online features are read, and the answer's record is
written to a file before the answer leaves. There are no batches, budgets, limits, metrics, traces or releases.
"""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI

from benchmarks.serving.servers.champion import champion
from plumbline.data.contract import PostingRequest
from plumbline.data.masking import mask_text
from plumbline.features.online import OnlineFeatureReader
from plumbline.settings import load_settings

LOG_VARIABLE = "BENCH_LOG_FILE"

app = FastAPI()
model = champion()
labels = model.labels
settings = load_settings()
# With the same memory of rows that our endpoint has.
features = OnlineFeatureReader(settings, keep_seconds=settings.serving.features_cache_seconds)
log = os.open(Path(os.environ[LOG_VARIABLE]), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)


@app.post("/classify")
async def classify(posting: PostingRequest) -> dict[str, Any]:
    """Classifies one posting."""
    start = time.monotonic()
    masked = posting.model_copy(
        update={"title": mask_text(posting.title), "description": mask_text(posting.description)}
    )
    (vector,) = features.read([masked.__dict__])
    record = {"title": masked.title, "description": masked.description, **vector.values}
    (probabilities,) = model.predict_proba([record])
    best = int(probabilities.argmax())
    answer = {
        "posting_id": posting.posting_id,
        "request_id": uuid.uuid4().hex,
        "label": labels[best],
        "probability": float(probabilities[best]),
    }
    line = {
        **answer,
        "time": datetime.now(UTC),
        "event_timestamp": posting.event_timestamp,
        "company": posting.company,
        "board": posting.board,
        "features": vector.values,
        "features_expired": vector.expired,
        "features_missing": vector.missing,
        "features_later": vector.later,
        "total_ms": round(1000 * (time.monotonic() - start), 3),
    }
    os.write(log, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return answer
