"""What a comparison of offline and online features found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from plumbline.errors import GateRefusedError
from plumbline.features.compare import differing, none_for_nan
from plumbline.features.online import FeatureVector
from plumbline.features.plan import ServicePlan

_SHOWN = 20


class InstantParity(BaseModel):
    """What was compared at one instant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    """The online store was brought up to here."""
    store: str
    """`scratch`, or `serving` for the installation's own."""
    checked: int
    matched: int


class ParityReport(BaseModel):
    """The outcome of a comparison. A pair matches when every feature of the service does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checked: int
    matched: int
    share: float
    """matched / checked."""
    values: int
    """Feature values compared."""
    served: int
    """Pairs for which some batch view had a row to serve."""
    expired: int
    """Pairs for which some view's row was past its TTL."""
    missing: int
    """Pairs for which some view had no row."""
    mismatches: list[dict[str, Any]]
    """The first of them, feature by feature, with both values."""
    instants: list[InstantParity]

    def require(self) -> None:
        """Refuses anything but full agreement.

        Raises:
            GateRefusedError: Some pair differs, or nothing was really compared.
        """
        if self.matched != self.checked:
            first = self.mismatches[0]
            raise GateRefusedError(
                f"Offline and online features differ for {self.checked - self.matched:,} of {self.checked:,} pairs, as "
                f"in {first['feature']} (offline {first['offline']!r}, online {first['online']!r}). "
                f"Nothing may be trained or promoted on them: {self._advice()}"
            )
        if not self.served:
            raise GateRefusedError(
                "No pair had a feature row to compare, so the agreement says nothing. Build the views for the span of "
                "the postings, and compare again."
            )

    def _advice(self) -> str:
        if any(each.store == "scratch" and each.matched < each.checked for each in self.instants):
            return "the views themselves give other values online than offline; look at the feature's computation."
        serving = next((each for each in self.instants if each.store == "serving"), None)
        if serving is None:
            return "look at the first mismatches."
        return (
            f"run `plumbline features materialize --full --as-of {serving.at.isoformat()}`, which trusts no record of "
            "what the online store holds, and compare again."
        )


class Tally:
    """Counts agreement over several comparisons."""

    def __init__(self, plan: ServicePlan, tolerance: float) -> None:
        self._plan = plan
        self._tolerance = tolerance
        self._names = [spec.name for spec in plan.specs]
        self._counts = dict.fromkeys(("checked", "matched", "values", "served", "expired", "missing"), 0)
        self._mismatches: list[dict[str, Any]] = []
        self._instants: list[InstantParity] = []

    def add(self, store: str, at: datetime, offline: pd.DataFrame, vectors: Sequence[FeatureVector]) -> None:
        """Compares one frame of offline values with what was read for its rows, in order."""
        matched = 0
        rows: list[Mapping[str, Any]] = offline.to_dict("records")  # type: ignore[assignment]
        for row, vector in zip(rows, vectors, strict=True):
            differences = differing({name: row[name] for name in self._names}, vector.values, self._tolerance)
            matched += not differences
            self._counts["expired"] += bool(vector.expired)
            self._counts["missing"] += bool(vector.missing)
            self._counts["served"] += len(vector.age_seconds) > len(vector.expired) + len(vector.later)
            for name, (ours, theirs) in differences.items():
                self._note(store, at, row, vector, name, ours, theirs)
        self._counts["checked"] += len(rows)
        self._counts["matched"] += matched
        self._counts["values"] += len(rows) * len(self._names)
        self._instants.append(InstantParity(at=at, store=store, checked=len(rows), matched=matched))

    def _note(
        self, store: str, at: datetime, row: Mapping[str, Any], vector: FeatureVector, name: str, ours: Any, theirs: Any
    ) -> None:
        if len(self._mismatches) < _SHOWN:
            self._mismatches.append(
                {
                    "store": store,
                    "materialized_until": at.isoformat(),
                    "event_timestamp": row["event_timestamp"].isoformat(),
                    **{view.key: none_for_nan(row[view.key]) for view in self._plan.batch},
                    "feature": name,
                    "offline": ours,
                    "online": theirs,
                    "expired": vector.expired,
                    "missing": vector.missing,
                    "later": vector.later,
                }
            )

    def report(self) -> ParityReport:
        """The counts so far."""
        checked = self._counts["checked"]
        return ParityReport(
            **self._counts,
            share=self._counts["matched"] / checked if checked else 0.0,
            mismatches=self._mismatches,
            instants=self._instants,
        )
