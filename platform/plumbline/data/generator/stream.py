"""The stream of postings, week by week."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from plumbline.data.frames import from_records
from plumbline.data.generator.ads import Ad, draw_ad, dress_description, dress_title, repost
from plumbline.data.generator.companies import found_companies
from plumbline.data.generator.dice import Dice, Wheel
from plumbline.data.generator.vocabulary import Board, surroundings, vocabulary
from plumbline.settings.data import GeneratorConfig

WEEK = timedelta(days=7)
_MEMORY = 400
"""Recent ads that may be posted again."""

_WEEKDAYS = Wheel(range(7), [20, 20, 18, 17, 14, 5, 6])
_HOURS = Wheel(range(24), [1, 1, 1, 1, 1, 2, 5, 9, 14, 16, 15, 14, 13, 13, 12, 11, 9, 6, 5, 4, 4, 3, 2, 1])
_EUR = {"EUR": 1.0, "PLN": 4.3, "GBP": 0.86}
_HOURS_PER_MONTH = 168.0
_DELAY_SHAPE = 2.5


def generate(config: GeneratorConfig) -> Iterator[pd.DataFrame]:
    """Generates the stream in the order of time.

    Args:
        config: How many postings, over how many weeks, from which seed, and how dirty.

    Yields:
        Frames of at most `config.chunk_rows` postings in the form of `POSTING_SCHEMA`, none across the border of
        a week. Labels are there from the beginning; `known_at` tells which had arrived when.
    """
    companies = found_companies(config.companies, config.seed)
    boards = _boards_by_class()
    recent: deque[Ad] = deque(maxlen=_MEMORY)
    number = 0
    for week, count in enumerate(_rows_per_week(config)):
        dice = Dice(config.seed, "week", week)
        start = config.start.astimezone(UTC) + week * WEEK
        hiring = companies.hiring(week / config.weeks)
        # All that is held of a whole week: eight bytes for each posting.
        seconds = np.sort(np.fromiter((_second(dice) for _ in range(count)), dtype=np.int64, count=count))
        for begin in range(0, count, config.chunk_rows):
            records = []
            for second in seconds[begin : begin + config.chunk_rows].tolist():
                if recent and dice.chance(config.repost_share):
                    ad = repost(dice.pick(recent), dice)
                else:
                    ad = draw_ad(dice.weighted(hiring), config, dice)
                    recent.append(ad)
                board = dice.weighted(boards[ad.label or dice.pick(list(boards))])
                moment = start + timedelta(seconds=second)
                records.append(_record(f"g{config.seed}-{number:08d}", moment, ad, board, config, dice))
                number += 1
            yield from_records(records)


def season(week_of_year: float) -> float:
    """How lively hiring is: spring and autumn above, high summer and the turn of the year below."""
    return 1 + 0.12 * math.sin(4 * math.pi * (week_of_year - 6) / 52)


def _rows_per_week(config: GeneratorConfig) -> list[int]:
    """Splits the rows over the weeks by season; the parts add up to the whole."""
    first = config.start.timetuple().tm_yday / 7
    weights = [season(first + week) for week in range(config.weeks)]
    total, done, parts = sum(weights), 0.0, []
    for weight in weights:
        before = round(config.rows * done / total)
        done += weight
        parts.append(round(config.rows * done / total) - before)
    return parts


def _second(dice: Dice) -> int:
    """Second of the week at which a posting appears."""
    return dice.weighted(_WEEKDAYS) * 86_400 + dice.weighted(_HOURS) * 3_600 + dice.integer(0, 3_599)


def _boards_by_class() -> dict[str, Wheel[Board]]:
    boards = surroundings().boards
    return {
        label: Wheel(boards, [board.share * board.weight_by_class.get(label, 1.0) for board in boards])
        for label in vocabulary().classes
    }


def _record(
    identity: str, moment: datetime, ad: Ad, board: Board, config: GeneratorConfig, dice: Dice
) -> dict[str, Any]:
    missing = board.missing
    record: dict[str, Any] = {
        "posting_id": identity,
        "event_timestamp": moment,
        "company": None if dice.chance(missing["company"]) else ad.company.name,
        "board": board.name,
        "title": dress_title(ad, board),
        "description": dress_description(ad, board),
        "location": None if dice.chance(0.03) else ad.city,
        "employment_type": None if dice.chance(missing["employment_type"]) else ad.employment_type,
        "seniority": None if dice.chance(missing["seniority"]) else ad.seniority,
        "category": None if dice.chance(missing["category"]) else ad.company.industry,
        "language": "en",
        "label": ad.label,
        "label_timestamp": None,
    }
    if not dice.chance(missing["salary"]):
        record |= _salary(ad, board)
    if ad.label is not None:
        delay = timedelta(days=dice.gamma(config.label_delay_days, _DELAY_SHAPE))
        record["label_timestamp"] = moment + timedelta(seconds=int(delay.total_seconds()))
    return record


def _salary(ad: Ad, board: Board) -> dict[str, Any]:
    factor = _EUR[board.currency]
    low, high = (amount * factor for amount in ad.pay)
    if ad.hourly:
        return {
            "salary_min": round(low / _HOURS_PER_MONTH, 1),
            "salary_max": round(high / _HOURS_PER_MONTH, 1),
            "currency": board.currency,
            "period": "hour",
        }
    return {
        "salary_min": float(round(low, -2)),
        "salary_max": float(round(high, -2)),
        "currency": board.currency,
        "period": "month",
    }
