"""What the servers without features take and give, as their frameworks' documentation declares such things."""

from __future__ import annotations

from pydantic import BaseModel


class Posting(BaseModel):
    """What the model reads of a posting; its other fields are ignored."""

    title: str
    description: str


class Answer(BaseModel):
    """What the model says."""

    label: str
    probability: float
