"""Chooses the (entity, time) pairs on which offline and online features are compared.

A pair is a posting that arrives when the online store was last materialised at an instant. The offline value of its
time is what training would see. The two must agree whenever no row of its entities falls between the two times, so
pairs lie before the next grid instant, or belong to entities that have no rows until later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from plumbline.features.clock import micros, next_grid_instant
from plumbline.features.plan import ServicePlan
from plumbline.features.rows import last_rows
from plumbline.settings import Settings

UNKNOWN = "\N{WHITE SQUARE} never posted"
"""Key of an entity that no posting log holds."""

_SHARES = {"expired": 0.15, "edge": 0.15, "unknown": 0.10}
"""Pairs that are looked for on purpose; the rest are postings of entities as they come."""


@dataclass(frozen=True)
class Sampler:
    """Draws pairs from a posting log and the rows of the computed views."""

    settings: Settings
    plan: ServicePlan
    postings: pd.DataFrame
    strangers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By key: entities that an online store holds and the views know nothing of, as after postings were taken out."""

    def draw(self, at: datetime, count: int, random: np.random.Generator) -> pd.DataFrame:
        """Draws `count` postings that arrive when the online store holds the rows up to `at`.

        Besides postings as they come: of entities whose last row has expired; exactly at, and one microsecond after,
        the end of a row's life; and of entities, or none, that have no rows, strangers among them. Where the data has
        too few of a kind, postings as they come take their place.

        Returns:
            Postings of the log, with `event_timestamp` (and for the last kinds the entities) replaced.
        """
        rows = {
            key: last_rows(self.settings, self.plan, key, at)
            for key in dict.fromkeys(view.key for view in self.plan.batch)
        }
        parts = [
            self._expired(rows, at, round(count * _SHARES["expired"]), random),
            self._edges(rows, at, round(count * _SHARES["edge"]), random),
            self._unknown(at, round(count * _SHARES["unknown"]), random),
        ]
        parts.append(self._as_they_come(at, count - sum(map(len, parts)), random))
        pairs = pd.concat(parts, ignore_index=True)
        pairs["event_timestamp"] = pairs["event_timestamp"].dt.as_unit("us")
        return pairs

    def _as_they_come(self, at: datetime, count: int, random: np.random.Generator) -> pd.DataFrame:
        known = self.postings[self.postings["event_timestamp"] <= pd.Timestamp(at)]
        return self._arrive(self._some(known, count, random), at, random)

    def _expired(
        self, rows: dict[str, pd.DataFrame], at: datetime, count: int, random: np.random.Generator
    ) -> pd.DataFrame:
        chosen = np.zeros(len(self.postings), dtype=bool)
        for view in self.plan.batch:
            last = rows[view.key][view.name]
            stale = last.index[last < pd.Timestamp(at - view.ttl)]
            chosen |= self.postings[view.key].isin(stale).to_numpy()
        known = self.postings[chosen & (self.postings["event_timestamp"] <= pd.Timestamp(at)).to_numpy()]
        return self._arrive(self._some(known, count, random), at, random)

    def _edges(
        self, rows: dict[str, pd.DataFrame], at: datetime, count: int, random: np.random.Generator
    ) -> pd.DataFrame:
        """The last moment of a row's life, and the first after it, for entities with no row until then."""
        parts = []
        for view in self.plan.batch:
            ends = rows[view.key][view.name] + view.ttl
            free = rows[view.key]["next"].isna() | (rows[view.key]["next"] > ends + timedelta(microseconds=1))
            ends = ends[free & (ends >= pd.Timestamp(at))]
            for late in (timedelta(0), timedelta(microseconds=1)):
                part = self._some(self.postings, min(len(ends), count), random)
                picked = ends.sample(len(part), random_state=random)
                # Only the entity in question: any other of the posting may have rows by then.
                others = {other.key: UNKNOWN for other in self.plan.batch if other.key != view.key}
                part = part.assign(**others, **{view.key: picked.index.to_numpy()})
                parts.append(part.assign(event_timestamp=(picked + late).array))
        found = pd.concat(parts, ignore_index=True)
        return self._some(found, min(count, len(found)), random, replace=False)

    def _unknown(self, at: datetime, count: int, random: np.random.Generator) -> pd.DataFrame:
        pairs = self._as_they_come(at, count, random)
        for view in self.plan.batch:
            names = random.choice([UNKNOWN, ""], len(pairs))
            if strangers := self.strangers.get(view.key):
                names = np.where(random.random(len(pairs)) < 0.5, random.choice(list(strangers), len(pairs)), names)
            nobody = pd.Series(names, index=pairs.index)
            pairs[view.key] = pairs[view.key].where(random.random(len(pairs)) < 0.5, nobody)
        return pairs

    def _arrive(self, pairs: pd.DataFrame, at: datetime, random: np.random.Generator) -> pd.DataFrame:
        """Gives each posting a time between `at` and the next grid instant; some get `at` itself."""
        grid = timedelta(hours=self.settings.features.grid_hours)
        start = micros(at)
        room = micros(next_grid_instant(at, grid)) - start
        offsets = random.integers(0, room, len(pairs)) * (random.random(len(pairs)) > 0.1)
        times = (start + offsets).astype("datetime64[us]")
        return pairs.assign(event_timestamp=pd.Series(times, index=pairs.index).dt.tz_localize("UTC"))

    @staticmethod
    def _some(frame: pd.DataFrame, count: int, random: np.random.Generator, *, replace: bool = True) -> pd.DataFrame:
        if frame.empty or count <= 0:
            return frame.iloc[:0]
        return frame.sample(count, replace=replace, random_state=random).reset_index(drop=True)
