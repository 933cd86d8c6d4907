"""Employers: Zipf-sized, at home in an industry, each with a mix of occupations of its own."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.data.generator.dice import Dice, Wheel
from plumbline.data.generator.vocabulary import Occupation, surroundings, vocabulary

_ZIPF = 0.8
"""Exponent of the sizes: the largest of 400 employers has about 4% of the postings."""

_AT_HOME = 12.0
"""How much likelier a company hires in an occupation of its industry than in another."""

_LATECOMERS = 0.15
_LEAVERS = 0.10


@dataclass(frozen=True)
class Job:
    """An occupation and its class."""

    label: str
    occupation: Occupation


@dataclass(frozen=True)
class Company:
    """One employer.

    Attributes:
        name: As it stands in postings.
        domain: Of its mail addresses and links.
        industry: As boards call it; becomes the posting's category.
        cities: Where it hires.
        jobs: What it hires for.
        pay: Factor on usual salaries.
        founded: Year.
        benefits: What it offers in every ad.
        first_week: Share of the stream's length at which it starts to hire.
        last_week: Share of the stream's length at which it stops.
    """

    name: str
    domain: str
    industry: str
    cities: tuple[str, ...]
    jobs: Wheel[Job]
    pay: float
    founded: int
    benefits: tuple[str, ...]
    first_week: float
    last_week: float


@dataclass(frozen=True)
class Companies:
    """All employers, and who hires when."""

    members: tuple[Company, ...]
    weights: tuple[float, ...]

    def hiring(self, moment: float) -> Wheel[Company]:
        """Employers that hire at a moment, given as a share of the stream's length."""
        chosen = [
            (company, weight)
            for company, weight in zip(self.members, self.weights, strict=True)
            if company.first_week <= moment <= company.last_week
        ]
        return Wheel([company for company, _ in chosen], [weight for _, weight in chosen])


def found_companies(count: int, seed: int) -> Companies:
    """Makes the employers.

    Args:
        count: How many.
        seed: Of the draws.
    """
    dice = Dice(seed, "companies")
    words = vocabulary()
    industries = Wheel(list(words.industry_weights), words.industry_weights.values())
    jobs = [Job(label, each) for label, group in words.classes.items() for each in group.occupations]
    members = tuple(_found(number, dice, industries, jobs) for number in range(count))
    return Companies(members, tuple(1 / (rank + 1) ** _ZIPF for rank in range(count)))


def _found(number: int, dice: Dice, industries: Wheel[str], jobs: list[Job]) -> Company:
    words, around = vocabulary(), surroundings()
    industry = dice.weighted(industries)
    stem = around.company_stems[number % len(around.company_stems)]
    tail = dice.pick(around.company_tails)
    series = number // len(around.company_stems)
    name = f"{stem}{tail} {series + 1} {dice.pick(around.company_forms)}" if series else f"{stem}{tail} Ltd"
    weights = [
        words.classes[job.label].share
        / len(words.classes[job.label].occupations)
        * (_AT_HOME if industry in job.occupation.industries else 1.0)
        * dice.gamma(1.0, 0.8)
        for job in jobs
    ]
    # The first employers are the largest: one that came or went would shift the whole stream.
    steady = number < len(around.company_stems)
    return Company(
        name=name,
        domain=f"{stem.lower()}{tail}{series + 1 if series else ''}.example",
        industry=dice.pick(words.industries[industry]),
        cities=tuple(dice.several(around.cities, dice.integer(1, 4))),
        jobs=Wheel(jobs, weights),
        pay=dice.uniform(0.8, 1.3),
        founded=dice.integer(1950, 2020),
        benefits=tuple(dice.several(words.benefits, 3)),
        first_week=dice.uniform(0, 0.9) if dice.chance(_LATECOMERS) and not steady else 0.0,
        last_week=dice.uniform(0.3, 1) if dice.chance(_LEAVERS) and not steady else 1.0,
    )
