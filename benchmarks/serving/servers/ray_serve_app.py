"""Ray Serve: a FastAPI ingress whose handler calls a method under `@serve.batch`.

Reference: Ray 2.60 documentation, "Set Up FastAPI and HTTP", "Dynamic Request Batching" and "Serve a Text Generator
with Request Batching". `max_ongoing_requests` (5 by default) is raised above the batch size, or no batch could fill;
the access log is turned off.
"""

# Without `from __future__ import annotations`: in the replica, FastAPI could not look the names in strings up.
from typing import Any

from fastapi import FastAPI
from ray import serve

from benchmarks.serving.servers.champion import champion, classify
from benchmarks.serving.servers.postings import Answer, Posting

app = FastAPI()


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=256,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False, "log_level": "WARNING"},
)
@serve.ingress(app)
class Postings:
    """One replica."""

    def __init__(self) -> None:
        self.model = champion()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.002)
    async def answer(self, postings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers a batch."""
        return classify(self.model, postings)

    @app.post("/classify")
    async def classify(self, posting: Posting) -> Answer:
        """Classifies one posting."""
        return Answer(**await self.answer({"title": posting.title, "description": posting.description}))


application = Postings.bind()
