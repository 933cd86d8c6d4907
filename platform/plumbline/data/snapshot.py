"""Immutable snapshots of the posting log, named by the hash of their content.

A snapshot `<id>` is `snapshots/<id>/postings.parquet`, `snapshots/<id>/label_terms.parquet` where the source
brought terms, `quarantine/<id>/rows.jsonl` where rows were kept out, and `snapshots/<id>/manifest.json`, which is
written last: what has no manifest does not exist.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.data.contract import CONTRACT_VERSION
from plumbline.data.frames import to_frame, to_table
from plumbline.errors import ContractError, IntegrityError, MissingInputError, UserError
from plumbline.storage import ObjectStore

LATEST = "latest"
LEAST_PREFIX = 8
"""Shortest part of an id that is taken for the whole."""

_ROOT = "snapshots"
_ROW_GROUP = 50_000
_Keys = list[str]  # inside the class, `list` is its method


@dataclass(frozen=True)
class Snapshot:
    """One snapshot.

    Attributes:
        id: SHA-256 of the content, hexadecimal.
        rows: Number of postings.
        labelled: How many of them have a label.
        first_event: Earliest `event_timestamp`, UTC.
        last_event: Latest `event_timestamp`, UTC.
        source: Where the postings came from, and how they were read.
        uri: Address of the postings' object.
        written_at: When this content was last written, UTC.
    """

    id: str
    rows: int
    labelled: int
    first_event: datetime
    last_event: datetime
    source: dict[str, Any]
    uri: str
    written_at: datetime

    @property
    def class_names(self) -> dict[str, str]:
        """What the labels stand for, by label; empty where the source did not say."""
        return dict(self.source.get("class_names") or {})


class SnapshotStore:
    """Snapshots in an object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def write(
        self,
        frame: pd.DataFrame,
        *,
        source: Mapping[str, Any],
        label_terms: pd.DataFrame | None = None,
        quarantine: bytes | None = None,
    ) -> Snapshot:
        """Writes the postings, in the order of `event_timestamp` and `posting_id`.

        The same content is the same snapshot: writing it again changes only `written_at`, and the names of the
        classes where the source brings other ones.

        Args:
            frame: Postings that have been through the contract.
            source: JSON-able description of where they came from.
            label_terms: Texts (`text`) that are known to belong to a label (`label`), not postings themselves.
            quarantine: The rows that were kept out, as JSON Lines; part of the snapshot's identity.

        Raises:
            ContractError: There are no rows, or they do not fit `POSTING_SCHEMA`.
        """
        if frame.empty:
            raise ContractError("There is no posting to write. Look at the quarantine for the reasons.")
        ordered = frame.sort_values(["event_timestamp", "posting_id"], kind="stable")
        table = to_table(ordered)
        postings = _parquet(table)
        terms = None if label_terms is None else _parquet(_terms_table(label_terms))
        digests = {
            "contract": CONTRACT_VERSION,
            "postings": _sha256(postings),
            "label_terms": None if terms is None else _sha256(terms),
            "quarantine": None if quarantine is None else _sha256(quarantine),
        }
        identity = _identity(digests)
        uri = self._store.put(f"{_ROOT}/{identity}/postings.parquet", postings)
        if terms is not None:
            self._store.put(f"{_ROOT}/{identity}/label_terms.parquet", terms)
        if quarantine is not None:
            self._store.put(quarantine_key(identity), quarantine)
        now = datetime.now(UTC).isoformat()
        earlier = self._manifest_or_none(identity)
        manifest = {
            "id": identity,
            "digests": digests,
            "rows": table.num_rows,
            "labelled": table.num_rows - table["label"].null_count,
            "first_event": table["event_timestamp"][0].as_py().isoformat(),
            "last_event": table["event_timestamp"][-1].as_py().isoformat(),
            "source": dict(source) if earlier is None else _renamed(earlier["source"], source),
            "uri": uri,
            "created_at": now if earlier is None else earlier["created_at"],
            "written_at": now,
        }
        content = json.dumps(manifest, indent=2, ensure_ascii=False, default=str).encode()
        self._store.put(f"{_ROOT}/{identity}/manifest.json", content)
        return _snapshot(json.loads(content))

    def read(self, snapshot_id: str) -> pd.DataFrame:
        """The postings: `POSTING_COLUMNS`, times tz-aware UTC in microseconds, in the order of time.

        Args:
            snapshot_id: Whole id, a unique beginning of at least eight characters, or `latest`.

        Raises:
            MissingInputError: There is no such snapshot.
            IntegrityError: The stored postings are not those of the id.
        """
        manifest = self.manifest(snapshot_id)
        return to_frame(self._table(manifest, "postings"))

    def label_terms(self, snapshot_id: str) -> pd.DataFrame | None:
        """The terms (`text`, `label`) that came with the postings, or None.

        Raises:
            MissingInputError: There is no such snapshot.
            IntegrityError: The stored terms are not those of the id.
        """
        manifest = self.manifest(snapshot_id)
        if manifest["digests"]["label_terms"] is None:
            return None
        terms: pd.DataFrame = self._table(manifest, "label_terms").to_pandas()
        return terms

    def manifest(self, snapshot_id: str) -> dict[str, Any]:
        """Everything that is recorded about a snapshot.

        Raises:
            MissingInputError: There is no such snapshot.
            IntegrityError: The manifest's digests do not make its id.
        """
        identity = self.resolve(snapshot_id)
        manifest = self._manifest_or_none(identity)
        if manifest is None:
            raise MissingInputError(f"There is no snapshot {identity}. List them with `plumbline data snapshots`.")
        if _identity(manifest["digests"]) != identity:
            raise IntegrityError(f"The manifest of snapshot {identity} was changed; ingest the postings again.")
        return manifest

    def get(self, snapshot_id: str) -> Snapshot:
        """The snapshot's description.

        Raises:
            MissingInputError: There is no such snapshot.
        """
        return _snapshot(self.manifest(snapshot_id))

    def list(self) -> list[Snapshot]:
        """All snapshots, the one that was written last at the end."""
        found = (self._manifest_or_none(identity) for identity in self._identities())
        return sorted((_snapshot(manifest) for manifest in found if manifest), key=lambda each: each.written_at)

    def latest(self) -> Snapshot:
        """The snapshot that was written last.

        Raises:
            MissingInputError: There is none.
        """
        snapshots = self.list()
        if not snapshots:
            raise MissingInputError(
                "There is no snapshot yet. Make one with `plumbline data ingest --generate`, or of your own file with "
                "`plumbline data ingest --data FILE --mapping FILE`."
            )
        return snapshots[-1]

    def resolve(self, snapshot_id: str) -> str:
        """Whole id of a whole id, a unique beginning, or `latest`.

        Raises:
            MissingInputError: Nothing begins so.
            UserError: The beginning is shorter than eight characters, or fits several snapshots.
        """
        if snapshot_id == LATEST:
            return self.latest().id
        if len(snapshot_id) == hashlib.sha256().digest_size * 2:
            return snapshot_id
        if len(snapshot_id) < LEAST_PREFIX:
            raise UserError(f"{snapshot_id!r} is too short for a snapshot: give {LEAST_PREFIX} characters or more.")
        found = [identity for identity in self._identities() if identity.startswith(snapshot_id)]
        if not found:
            raise MissingInputError(f"There is no snapshot {snapshot_id}. List them with `plumbline data snapshots`.")
        if len(found) > 1:
            raise UserError(f"{snapshot_id} is the beginning of {len(found)} snapshots; give more characters.")
        return found[0]

    def _identities(self) -> _Keys:
        tail = "/manifest.json"
        keys = self._store.list(f"{_ROOT}/")
        return [key.removeprefix(f"{_ROOT}/").removesuffix(tail) for key in keys if key.endswith(tail)]

    def _manifest_or_none(self, identity: str) -> dict[str, Any] | None:
        key = f"{_ROOT}/{identity}/manifest.json"
        if not self._store.exists(key):
            return None
        try:
            manifest: dict[str, Any] = json.loads(self._store.get(key))
        except ValueError as error:
            raise IntegrityError(f"{key} is not JSON; remove it and ingest the postings again.") from error
        return manifest

    def _table(self, manifest: Mapping[str, Any], name: str) -> pa.Table:
        key = f"{_ROOT}/{manifest['id']}/{name}.parquet"
        content = self._store.get(key)
        if _sha256(content) != manifest["digests"][name]:
            raise IntegrityError(f"{key} is not what its digest says; ingest the postings again.")
        return pq.read_table(io.BytesIO(content))


def quarantine_key(name: str) -> str:
    """Where the rows lie that were kept out of a snapshot, or of a batch that was refused under a name."""
    return f"quarantine/{name}/rows.jsonl"


def _snapshot(manifest: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=manifest["id"],
        rows=manifest["rows"],
        labelled=manifest["labelled"],
        first_event=datetime.fromisoformat(manifest["first_event"]),
        last_event=datetime.fromisoformat(manifest["last_event"]),
        source=manifest["source"],
        uri=manifest["uri"],
        written_at=datetime.fromisoformat(manifest["written_at"]),
    )


def _renamed(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of the first writing, with the class names of the last: they are no part of the content."""
    names = now.get("class_names")
    return {**earlier, "class_names": names} if names else dict(earlier)


def _terms_table(terms: pd.DataFrame) -> pa.Table:
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    return pa.Table.from_pandas(terms.loc[:, ["text", "label"]], schema=schema, preserve_index=False)


def _parquet(table: pa.Table) -> bytes:
    # Without the pandas metadata and the chunk borders the bytes depend on the rows alone.
    target = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None).combine_chunks(), target, row_group_size=_ROW_GROUP, compression="zstd"
    )
    return target.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _identity(digests: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(digests, sort_keys=True).encode())
