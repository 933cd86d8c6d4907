"""Takes postings in: read, map, mask, check, keep bad rows out, let a scenario set in, write a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from plumbline.data.checks import check
from plumbline.data.contract import FURTHEST_AHEAD
from plumbline.data.frames import empty_frame, from_records
from plumbline.data.mapping.rows import Problem, RowMapper, SchemaDiff
from plumbline.data.masking import mask_record
from plumbline.data.quarantine import Quarantine
from plumbline.data.reading import RawRow, RowSource
from plumbline.data.scenarios import apply_scenario
from plumbline.data.snapshot import Snapshot, SnapshotStore
from plumbline.errors import ContractError
from plumbline.settings.data import DataSettings
from plumbline.storage import ObjectStore

_TEXT_REPORTED = 8


@dataclass(frozen=True)
class Drift:
    """A scenario that is to set in.

    Attributes:
        name: Of the scenario.
        change_point: From when on.
        seed: Of its draws.
    """

    name: str
    change_point: datetime
    seed: int


@dataclass(frozen=True)
class Admission:
    """What came of a batch at the door.

    Attributes:
        postings: The rows that were admitted, masked, in the source's order.
        quarantine: The rows that were not.
        rows_read: How many there were.
        masked: Personal details that were masked, by kind.
        schema_diff: How the columns differ from the mapping.
        unmapped: Texts that no value rule fitted and that became empty, by field.
        unparsed: Number of texts with nothing to read in them, by field.
    """

    postings: pd.DataFrame
    quarantine: Quarantine
    rows_read: int
    masked: dict[str, int]
    schema_diff: SchemaDiff
    unmapped: dict[str, dict[str, int]]
    unparsed: dict[str, int]

    @property
    def bad_share(self) -> float:
        """Share of the rows that were kept out."""
        return len(self.quarantine) / self.rows_read if self.rows_read else 0.0


@dataclass(frozen=True)
class IngestResult:
    """What came of an ingest.

    Attributes:
        snapshot: The snapshot that was written.
        admission: What happened at the door.
        drift: The scenario that was let set in, or None.
        label_terms: Texts with known labels that came beside the postings.
    """

    snapshot: Snapshot
    admission: Admission
    drift: Drift | None
    label_terms: int

    @property
    def snapshot_id(self) -> str:
        """The snapshot's id."""
        return self.snapshot.id

    @property
    def rows_read(self) -> int:
        """Rows of the source."""
        return self.admission.rows_read

    @property
    def rows_admitted(self) -> int:
        """Rows that keep the contract."""
        return len(self.admission.postings)

    @property
    def rows_quarantined(self) -> int:
        """Rows that do not."""
        return len(self.admission.quarantine)

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rows kept out by reason, the most frequent first."""
        return dict(self.admission.quarantine.reasons.most_common())

    @property
    def masked(self) -> dict[str, int]:
        """Personal details that were masked, by kind."""
        return self.admission.masked


@dataclass
class _Door:
    """Rows on their way in."""

    mapper: RowMapper
    collected: datetime | None
    tolerance: timedelta
    masked: Counter[str] = field(default_factory=lambda: Counter({"email": 0, "phone": 0, "link": 0}))
    seen: set[str] = field(default_factory=set)
    rows: int = 0

    def enter(self, row: RawRow) -> dict[str, Any] | list[Problem]:
        self.rows += 1
        if row.defect is not None:
            return [Problem("row", row.defect)]
        record, problems = self.mapper.record(row.values, self.rows - 1)
        problems += self._from_the_future(record, record.pop("collected_at", None))
        counts: Counter[str] = Counter()
        mask_record(record, self.mapper.mapping.mask, counts)
        checked = check(record)
        if isinstance(checked, list):
            unread = {problem.field for problem in problems}
            problems += [each for each in checked if each.field not in unread and not _follows(each, unread)]
        elif not problems and checked.posting_id in self.seen:
            problems.append(Problem("posting_id", "already in this batch"))
        if problems or isinstance(checked, list):
            return problems
        self.seen.add(checked.posting_id)
        self.masked.update(counts)
        return dict(checked)

    def _from_the_future(self, record: dict[str, Any], collected: datetime | None) -> Iterator[Problem]:
        known = [each for each in (self.collected, collected) if each is not None]
        # A label may arrive long after its posting, yet in no time that could be a typing error.
        for name, tolerance in (
            ("event_timestamp", self.tolerance),
            ("label_timestamp", max(self.tolerance, FURTHEST_AHEAD)),
        ):
            instant = record.get(name)
            if instant is not None and known and instant - min(known) > tolerance:
                yield Problem(name, f"later than its collection by more than {_days(tolerance)}")
                return


def admit(
    source: RowSource, mapper: RowMapper, settings: DataSettings, *, collected: datetime | None = None
) -> Admission:
    """Lets the rows of a source through the contract.

    Of rows with the same `posting_id` the first that keeps the contract is admitted.

    Args:
        source: Raw rows.
        mapper: Reads them.
        settings: Tolerances and sizes.
        collected: When the source was collected; no posting may be later, and none later than the row's own
            `collected_at`. None: postings may lie in any future, as those of the generator.

    Raises:
        UserError: The source is damaged.
    """
    fields = mapper.mapping.fields
    named = (None if fields.posting_id.hash else fields.posting_id, fields.event_timestamp, fields.label)
    quarantine = Quarantine(name for each in named if each is not None for name in each.names)
    made_up = fields.event_timestamp.sequence is not None
    door = _Door(mapper, None if made_up else collected, timedelta(days=settings.future_tolerance_days))
    frames = [from_records(records) for records in _chunks(source, door, quarantine, settings.chunk_rows)]
    return Admission(
        postings=pd.concat(frames, ignore_index=True) if frames else empty_frame(),
        quarantine=quarantine,
        rows_read=door.rows,
        masked=dict(door.masked),
        schema_diff=mapper.schema_diff,
        unmapped={name: dict(texts.most_common(_TEXT_REPORTED)) for name, texts in mapper.unmapped.items() if texts},
        unparsed=dict(mapper.unparsed),
    )


def require_tolerable(admission: Admission, settings: DataSettings, store: ObjectStore | None) -> None:
    """Refuses a batch with too many bad rows; they are written down first, so that nothing is lost.

    Args:
        admission: The batch.
        settings: Holds the tolerated share.
        store: Where the quarantine goes; None writes nothing.

    Raises:
        ContractError: The batch is empty, or its bad share is above the tolerated one.
    """
    quarantine = admission.quarantine
    if admission.rows_read == 0:
        raise ContractError("The source has no rows.")
    if admission.bad_share <= settings.max_bad_share and len(admission.postings):
        return
    reasons = "; ".join(f"{reason} ({count})" for reason, count in quarantine.reasons.most_common(5))
    where = ""
    if store is not None:
        name = quarantine.write_refused(store)
        where = f" Look at them with `plumbline data quarantine {name}`."
    raise ContractError(
        f"The batch was refused: {len(quarantine)} of {admission.rows_read} rows break the contract "
        f"({admission.bad_share:.1%}, tolerated {settings.max_bad_share:.1%}): {reasons}.{where}"
    )


def ingest(
    source: RowSource,
    mapper: RowMapper,
    *,
    store: ObjectStore,
    settings: DataSettings,
    provenance: Mapping[str, Any],
    collected: datetime | None = None,
    drift: Drift | None = None,
    label_terms: pd.DataFrame | None = None,
) -> IngestResult:
    """Takes a batch in and writes it as a snapshot.

    Args:
        source: Raw rows.
        mapper: Reads them.
        store: Where snapshots and quarantine lie.
        settings: Tolerances and sizes.
        provenance: JSON-able description of the source, for the manifest.
        collected: When the source was collected, see `admit`.
        drift: Scenario to let set in, after the contract.
        label_terms: Texts (`text`) with known labels (`label`).

    Raises:
        ContractError: The batch is empty or too dirty; nothing but its quarantine was written.
        UserError: The source is damaged, or there is no such scenario.
    """
    admission = admit(source, mapper, settings, collected=collected)
    require_tolerable(admission, settings, store)
    postings = admission.postings
    if drift is not None:
        postings = _drifted(postings, drift, settings)
    result = {
        "rows": {
            "read": admission.rows_read,
            "admitted": len(admission.postings),
            "quarantined": len(admission.quarantine),
        },
        "masked": admission.masked,
        "scenario": None if drift is None else drift.name,
        "change_point": None if drift is None else drift.change_point.isoformat(),
        "scenario_seed": None if drift is None else drift.seed,
    }
    snapshot = SnapshotStore(store).write(
        postings,
        source={**provenance, **result},
        label_terms=label_terms,
        quarantine=admission.quarantine.content(),
    )
    terms = 0 if label_terms is None else len(label_terms)
    return IngestResult(snapshot=snapshot, admission=admission, drift=drift, label_terms=terms)


def _chunks(source: RowSource, door: _Door, quarantine: Quarantine, size: int) -> Iterator[list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []
    for row in source.rows():
        entered = door.enter(row)
        if isinstance(entered, dict):
            records.append(entered)
        else:
            quarantine.add(row, entered)
        if len(records) >= size:
            yield records
            records = []
    if records:
        yield records


def _drifted(postings: pd.DataFrame, drift: Drift, settings: DataSettings) -> pd.DataFrame:
    ordered = postings.sort_values(["event_timestamp", "posting_id"], kind="stable", ignore_index=True)
    frames = apply_scenario(
        [ordered],
        drift.name,
        drift.change_point,
        drift.seed,
        share=settings.scenario_share,
        ramp=timedelta(weeks=settings.scenario_ramp_weeks),
    )
    return pd.concat(frames, ignore_index=True)


def _days(tolerance: timedelta) -> str:
    days = tolerance / timedelta(days=1)
    return "1 day" if days == 1 else f"{days:g} days"


def _follows(problem: Problem, unread: set[str]) -> bool:
    """Whether a problem only follows from a field that could not be read."""
    return (
        problem.field == "row"
        or (problem.field == "label" and "label_timestamp" in unread)
        or (problem.field in {"label_timestamp", "salary_min"} and bool(unread))
    )
