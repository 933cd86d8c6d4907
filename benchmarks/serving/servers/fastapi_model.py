"""Plain FastAPI on uvicorn, the model only: a pydantic body and a function for the route.

Reference: FastAPI documentation, "Request Body" and "Concurrency and async / await". Of the two ways that it gives,
`def` (a thread of a pool for each request) and `async def` (on the event loop), this is the quicker one here: the model
keeps the interpreter for most of its half millisecond, so threads only add their hand-over.
"""

from __future__ import annotations

from fastapi import FastAPI

from benchmarks.serving.servers.champion import champion, classify
from benchmarks.serving.servers.postings import Answer, Posting

app = FastAPI()
model = champion()


@app.post("/classify")
async def classify_posting(posting: Posting) -> Answer:
    """Classifies one posting."""
    (answer,) = classify(model, [{"title": posting.title, "description": posting.description}])
    return Answer(**answer)
