"""The words that generated postings are made of, read from the YAML files beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Occupation(_Strict):
    """One kind of job."""

    titles: list[str]
    industries: list[str]
    duties: list[str]
    skills: list[str]


class OccupationClass(_Strict):
    """A class that the model is to tell: a major group of ISCO-08."""

    name: str
    share: float
    salary: float
    hourly: float
    occupations: list[Occupation]


class VagueTitle(_Strict):
    """A title that fits several classes."""

    title: str
    classes: list[str]


class Vocabulary(_Strict):
    """Everything that is said about jobs."""

    classes: dict[str, OccupationClass]
    vague_titles: list[VagueTitle]
    neighbours: dict[str, list[str]]
    general_duties: list[str]
    general_skills: list[str]
    benefits: list[str]
    industries: dict[str, list[str]]
    industry_weights: dict[str, float]


class Board(_Strict):
    """A board and its house style."""

    name: str
    share: float
    title: str
    bullet: str
    heads: tuple[str, str, str]
    closing: str
    currency: str
    missing: dict[str, float]
    weight_by_class: dict[str, float] = {}


class Surroundings(_Strict):
    """Boards, and what names are made of."""

    boards: list[Board]
    cities: list[str]
    company_stems: list[str]
    company_tails: list[str]
    company_forms: list[str]
    openings: list[str]
    contacts: list[str]
    first_names: list[str]
    last_names: list[str]


@cache
def vocabulary() -> Vocabulary:
    """What is said about jobs."""
    return Vocabulary.model_validate(_yaml("vocabulary.yaml"))


def class_names() -> dict[str, str]:
    """What each label of a generated posting stands for."""
    return {label: each.name for label, each in vocabulary().classes.items()}


@cache
def surroundings() -> Surroundings:
    """Boards, and what names are made of."""
    return Surroundings.model_validate(_yaml("boards.yaml"))


def _yaml(name: str) -> Any:
    return yaml.safe_load(files(__package__).joinpath(name).read_text(encoding="utf-8"))
