"""One ad: what is to be said, drawn once; a posting is the ad in the style of a board."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from plumbline.data.generator.companies import Company, Job
from plumbline.data.generator.dice import Dice, Wheel
from plumbline.data.generator.vocabulary import Board, surroundings, vocabulary
from plumbline.settings.data import GeneratorConfig

_OWN_DUTY = 0.5
_NEIGHBOUR_DUTY = 0.2
"""Shares of duties that are the occupation's own, and a neighbouring class's; the rest fits any job."""

_OWN_SKILL = 0.4
_THIN = 0.12
"""Ads that say nothing about the job beyond its title."""

_MISTITLED = 0.06
"""Ads under a title of a neighbouring class: a sales agent called director."""

_LEVELS = Wheel(["intern", "junior", "mid", "senior", "lead"], [4, 22, 48, 20, 6])
_LEVEL_PAY = {"intern": 0.5, "junior": 0.8, "mid": 1.0, "senior": 1.3, "lead": 1.6, "executive": 2.2}
_LEVEL_WORD = {"intern": "Trainee", "junior": "Junior", "senior": "Senior", "lead": "Lead"}
_EMPLOYMENT = Wheel(["full_time", "part_time", "temporary", "contract", "internship", "other"], [68, 13, 9, 6, 3, 1])


@dataclass(frozen=True)
class Ad:
    """What a posting says, free of any board's style.

    Attributes:
        company: Who hires.
        city: Where.
        title: Title, undressed.
        opening: First sentence.
        duties: What is to be done.
        skills: What is asked for.
        benefits: What is offered.
        contact: Sentence with personal details, or None.
        seniority: Level.
        employment_type: Kind of employment.
        pay: EUR per month, from and to.
        hourly: Whether pay is given per hour.
        label: Class as the coder has given it; None where it never arrives.
    """

    company: Company
    city: str
    title: str
    opening: str
    duties: tuple[str, ...]
    skills: tuple[str, ...]
    benefits: tuple[str, ...]
    contact: str | None
    seniority: str
    employment_type: str
    pay: tuple[float, float]
    hourly: bool
    label: str | None


def draw_ad(company: Company, config: GeneratorConfig, dice: Dice) -> Ad:
    """Draws an ad of a company."""
    words = vocabulary()
    job = dice.weighted(company.jobs)
    group = words.classes[job.label]
    seniority = "executive" if job.label == "1" and dice.chance(0.3) else dice.weighted(_LEVELS)
    titled = job.occupation
    if dice.chance(_MISTITLED):
        titled = dice.pick(words.classes[dice.pick(words.neighbours[job.label])].occupations)
    title = dice.pick(titled.titles)
    thin = dice.chance(_THIN)
    vague = _vague_titles().get(job.label)
    if vague and dice.chance(config.vague_title_share):
        title = dice.pick(vague)
    elif seniority in _LEVEL_WORD and dice.chance(0.4):
        title = f"{_LEVEL_WORD[seniority]} {title}"
    city = dice.pick(company.cities)
    middle = group.salary * company.pay * _LEVEL_PAY[seniority] * dice.uniform(0.9, 1.1)
    return Ad(
        company=company,
        city=city,
        title=title,
        opening=dice.pick(surroundings().openings).format(
            company=company.name, industry=company.industry, title=title, city=city, year=company.founded
        ),
        duties=_duties(job, thin, dice),
        skills=_skills(job, thin, dice),
        benefits=tuple(dict.fromkeys((*company.benefits, dice.pick(words.benefits)))),
        contact=_contact(company, dice) if dice.chance(config.contact_share) else None,
        seniority=seniority,
        employment_type=dice.weighted(_EMPLOYMENT) if seniority != "intern" else "internship",
        pay=(middle * 0.9, middle * dice.uniform(1.0, 1.3)),
        hourly=dice.chance(group.hourly),
        label=_label(job.label, config, dice),
    )


def repost(ad: Ad, dice: Dice) -> Ad:
    """The ad as it is posted again: another city, a sentence more or less, a hurry in the title."""
    words = vocabulary()
    edited = ad
    if dice.chance(0.4):
        city = dice.pick(ad.company.cities)
        edited = replace(edited, city=city, opening=edited.opening.replace(ad.city, city))
    if dice.chance(0.5):
        edited = replace(edited, duties=(*edited.duties[:-1], dice.pick(words.general_duties)))
    if dice.chance(0.15) and not edited.title.startswith("Urgent"):
        edited = replace(edited, title=f"Urgent: {edited.title}")
    return edited


def dress_title(ad: Ad, board: Board) -> str:
    """The title as the board shows it."""
    return board.title.format(title=ad.title, city=ad.city, company=ad.company.name)


def dress_description(ad: Ad, board: Board) -> str:
    """The description as the board shows it."""
    parts = [ad.opening]
    for head, lines in zip(board.heads, (ad.duties, ad.skills, ad.benefits), strict=True):
        parts.append(f"{head}{board.bullet if board.bullet.startswith(chr(10)) else ' '}{board.bullet.join(lines)}")
    if ad.contact is not None:
        parts.append(ad.contact)
    parts.append(board.closing)
    return "\n".join(parts)


def _duties(job: Job, thin: bool, dice: Dice) -> tuple[str, ...]:
    words = vocabulary()
    left = dice.several(job.occupation.duties, len(job.occupation.duties))
    duties = []
    for _ in range(dice.integer(2, 5)):
        draw = 1.0 if thin else dice.uniform(0, 1)
        if draw < _OWN_DUTY and left:
            duties.append(left.pop())
        elif draw < _OWN_DUTY + _NEIGHBOUR_DUTY:
            neighbour = words.classes[dice.pick(words.neighbours[job.label])]
            duties.append(dice.pick(dice.pick(neighbour.occupations).duties))
        else:
            duties.append(dice.pick(words.general_duties))
    return tuple(dict.fromkeys(duties))


def _skills(job: Job, thin: bool, dice: Dice) -> tuple[str, ...]:
    general = vocabulary().general_skills
    drawn = (
        dice.pick(job.occupation.skills if not thin and dice.chance(_OWN_SKILL) else general)
        for _ in range(dice.integer(2, 4))
    )
    return tuple(dict.fromkeys(drawn))


def _label(label: str, config: GeneratorConfig, dice: Dice) -> str | None:
    if dice.chance(config.unlabelled_share):
        return None
    if dice.chance(config.label_noise):
        return dice.pick(vocabulary().neighbours[label])
    return label


def _contact(company: Company, dice: Dice) -> str:
    around = surroundings()
    return dice.pick(around.contacts).format(
        first=dice.pick(around.first_names),
        last=dice.pick(around.last_names),
        domain=company.domain,
        phone=_phone(dice),
        reference=f"{dice.integer(2019, 2026)}/{dice.integer(100, 999)}",
    )


def _phone(dice: Dice) -> str:
    digits = f"{dice.integer(500, 799)}{dice.integer(0, 999999):06d}"
    head, middle, tail = digits[:3], digits[3:6], digits[6:]
    return dice.pick((f"+48 {head} {middle} {tail}", f"{head} {middle} {tail}", f"{head}-{middle}-{tail}", digits))


@cache
def _vague_titles() -> dict[str, list[str]]:
    by_class: dict[str, list[str]] = {}
    for vague in vocabulary().vague_titles:
        for label in vague.classes:
            by_class.setdefault(label, []).append(vague.title)
    return by_class
