"""Ingest, generate, validate postings; look at snapshots and quarantine."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import BaseModel

from plumbline.cli.output import JsonOption, examples, print_json, print_result, print_rows, step
from plumbline.errors import UserError
from plumbline.instants import parse_instant
from plumbline.settings import Settings, load_settings
from plumbline.settings.data import GeneratorConfig

if TYPE_CHECKING:
    from plumbline.data.ingest import Admission
    from plumbline.data.mapping import RowMapper
    from plumbline.data.reading import FileSource

app = typer.Typer(help="Ingest, generate, validate postings; look at snapshots and quarantine.")

READ = "File: .csv, .tsv, .jsonl, .json (also .gz), .parquet, .xlsx."
DataOption = Annotated[Path | None, typer.Option("--data", help=READ)]
MappingOption = Annotated[
    Path | None,
    typer.Option("--mapping", help="Mapping file (YAML); without it the columns must be named as the contract's."),
]
CollectedOption = Annotated[
    str | None,
    typer.Option(help="When the file was collected (default: now); later postings are bad rows. A date or an instant."),
]
RowsOption = Annotated[int | None, typer.Option(min=1, help="Postings to generate.")]
WeeksOption = Annotated[int | None, typer.Option(min=1, help="Weeks that they are spread over.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the generator and of the scenario.")]
ScenarioOption = Annotated[str | None, typer.Option(help="Drift scenario; see `plumbline data scenarios`.")]
ChangeOption = Annotated[
    str | None, typer.Option(help="When it sets in: a date or an instant, ISO 8601; without a zone it is UTC.")
]
ShareOption = Annotated[float | None, typer.Option(min=0, max=1, help="Share of postings that it moves.")]


@app.command(
    epilog=examples(
        "plumbline data ingest --data postings.csv --mapping mapping.yaml",
        "plumbline data ingest --generate --rows 20000 --weeks 12",
    )
)
def ingest(
    data: DataOption = None,
    mapping: MappingOption = None,
    collected: CollectedOption = None,
    generate: Annotated[bool, typer.Option("--generate", help="Take the built-in generator's postings.")] = False,
    rows: RowsOption = None,
    weeks: WeeksOption = None,
    seed: SeedOption = None,
    scenario: ScenarioOption = None,
    change_point: ChangeOption = None,
    share: ShareOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reads postings, checks and masks them, keeps bad rows in quarantine, and writes a snapshot."""
    from plumbline.data import ingest as door
    from plumbline.storage import open_store

    settings = load_settings()
    if generate == (data is not None):
        raise UserError("Give either --data FILE (and --mapping FILE) or --generate.")
    if not generate and (rows is not None or weeks is not None):
        raise UserError("--rows and --weeks belong to --generate.")
    if generate and mapping is not None:
        raise UserError("--mapping belongs to --data; generated postings have the contract's own columns.")
    if generate and collected is not None:
        raise UserError("--collected belongs to --data; generated postings may lie in any future.")
    config = _generator_config(settings, rows, weeks, seed)
    drift = _drift(scenario, change_point, config.seed)
    data_settings = settings.data if share is None else settings.data.model_copy(update={"scenario_share": share})
    terms = None
    with step("Read, check, mask, write"):
        if data is None:
            from plumbline.data.contract import POSTING_COLUMNS
            from plumbline.data.generator import class_names, raw_rows
            from plumbline.data.mapping import RowMapper, contract_mapping
            from plumbline.data.reading import IterableSource

            source: Any = IterableSource(POSTING_COLUMNS, raw_rows(config))
            mapper = RowMapper(contract_mapping(POSTING_COLUMNS), POSTING_COLUMNS, _delay(settings))
            provenance: dict[str, Any] = {
                "kind": "generator",
                "config": config.model_dump(mode="json"),
                "class_names": class_names(),
            }
        else:
            from plumbline.data.terms import read_label_terms

            source, mapper = _open(data, mapping, settings)
            provenance = {
                "kind": "file",
                "file": data.name,
                "sha256": source.digest(),
                "mapping": mapper.mapping.name,
                "made_up_time": mapper.mapping.fields.event_timestamp.sequence is not None,
                "class_names": mapper.mapping.class_names,
                "future_tolerance_days": settings.data.future_tolerance_days,
                **({} if collected is None else {"collected": _collected(collected).isoformat()}),
            }
            terms = read_label_terms(data, mapper.mapping)
        result = door.ingest(
            source,
            mapper,
            store=open_store(settings),
            settings=data_settings,
            provenance=provenance,
            collected=None if data is None else _collected(collected),
            drift=drift,
            label_terms=terms,
        )
    snapshot = result.snapshot
    answer = {
        "snapshot_id": snapshot.id,
        **_admitted(result.admission),
        "first_event": snapshot.first_event.isoformat(),
        "last_event": snapshot.last_event.isoformat(),
        "weeks": _weeks(snapshot.first_event, snapshot.last_event),
        "postings": snapshot.rows,
        "labelled": snapshot.labelled,
        "label_terms": result.label_terms,
        "class_names": snapshot.class_names,
        "scenario": scenario,
        "change_point": None if drift is None else drift.change_point.isoformat(),
        "uri": snapshot.uri,
    }
    print_result(answer, as_json=as_json, title="Ingested")


@app.command(
    "generate",
    epilog=examples(
        "plumbline data generate --out postings.csv --rows 5000",
        "plumbline data generate --out drifted.jsonl.gz --scenario new_board --change-point 2026-05-25",
    ),
)
def generate_file(
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv, .jsonl (also .gz), .parquet.")],
    rows: RowsOption = None,
    weeks: WeeksOption = None,
    seed: SeedOption = None,
    scenario: ScenarioOption = None,
    change_point: ChangeOption = None,
    share: ShareOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes generated postings to a file, week by week, in memory that does not grow with their number."""
    from plumbline.data.generator import generate
    from plumbline.data.scenarios import apply_scenario
    from plumbline.data.writing import write_frames

    settings = load_settings()
    config = _generator_config(settings, rows, weeks, seed)
    drift = _drift(scenario, change_point, config.seed)
    frames = generate(config)
    if drift is not None:
        frames = apply_scenario(
            frames,
            drift.name,
            drift.change_point,
            drift.seed,
            share=settings.data.scenario_share if share is None else share,
            ramp=timedelta(weeks=settings.data.scenario_ramp_weeks),
        )
    with step(f"Generate {config.rows:,} postings"):
        written = write_frames(frames, out)
    print_result(
        {"file": str(out), "rows": written, "weeks": config.weeks, "seed": config.seed, "scenario": scenario},
        as_json=as_json,
        title="Generated",
    )


@app.command(epilog=examples("plumbline data validate --data postings.csv --mapping mapping.yaml"))
def validate(
    data: Annotated[Path, typer.Option("--data", help=READ)],
    mapping: MappingOption = None,
    collected: CollectedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Holds a file against its mapping and the contract; writes nothing."""
    from plumbline.data.ingest import admit, require_tolerable

    settings = load_settings()
    with step("Read and check"):
        source, mapper = _open(data, mapping, settings)
        admission = admit(source, mapper, settings.data, collected=_collected(collected))
    require_tolerable(admission, settings.data, None)
    print_result(_admitted(admission), as_json=as_json, title="Valid within tolerance")


@app.command(epilog=examples("plumbline data snapshots"))
def snapshots(as_json: JsonOption = False) -> None:
    """Lists the snapshots, the one that was written last at the end."""
    from plumbline.data.snapshot import SnapshotStore
    from plumbline.storage import open_store

    found = SnapshotStore(open_store(load_settings())).list()
    rows: list[Any] = [
        {
            "id": each.id if as_json else each.id[:12],
            "postings": each.rows,
            "labelled": each.labelled,
            "first_event": each.first_event.isoformat() if as_json else each.first_event.date().isoformat(),
            "last_event": each.last_event.isoformat() if as_json else each.last_event.date().isoformat(),
            "source": each.source.get("file") or each.source.get("kind"),
            "scenario": each.source.get("scenario"),
            "written_at": each.written_at.isoformat(timespec="seconds")[: None if as_json else 16],
        }
        for each in found
    ]
    print_rows(rows, as_json=as_json, title="Snapshots")


@app.command(epilog=examples("plumbline data show", "plumbline data show latest --sample 3 --json"))
def show(
    snapshot: Annotated[str, typer.Argument(help="Id, its first eight characters or more, or `latest`.")] = "latest",
    sample: Annotated[int, typer.Option(min=0, help="Postings to show.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Shows what a snapshot holds and where it came from."""
    from plumbline.data.snapshot import SnapshotStore
    from plumbline.storage import open_store

    store = SnapshotStore(open_store(load_settings()))
    manifest = store.manifest(snapshot)
    frame = store.read(manifest["id"])
    answer = {
        **{name: value for name, value in manifest.items() if name != "source"},
        "source": manifest["source"],
        "label_mix": {str(label): int(count) for label, count in frame["label"].value_counts().items()},
        "boards": {str(board): int(count) for board, count in frame["board"].value_counts().items()},
        "missing_share": {str(name): round(float(part), 4) for name, part in frame.isna().mean().items() if part},
    }
    postings = json.loads(frame.head(sample).to_json(orient="records", date_format="iso"))
    if as_json:
        print_json({**answer, "sample": postings})
        return
    print_result(answer, as_json=False, title=f"Snapshot {manifest['id'][:12]}")
    print_rows(
        [{name: row[name] for name in ("posting_id", "board", "title", "label")} for row in postings],
        as_json=False,
        title="First postings",
    )


@app.command(epilog=examples("plumbline data quarantine latest --limit 20", "plumbline data quarantine --refused"))
def quarantine(
    snapshot: Annotated[str, typer.Argument(help="Snapshot, or the name that a refused batch was given.")] = "latest",
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    refused: Annotated[bool, typer.Option("--refused", help="List the refused batches instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Shows the rows that were kept out: line of the source, field, reason, and the row itself, masked."""
    from collections import Counter

    from plumbline.data.quarantine import REFUSED, read_quarantine, refused_batches
    from plumbline.data.snapshot import SnapshotStore
    from plumbline.storage import open_store

    store = open_store(load_settings())
    if refused:
        batches = [{"name": name, "rows": len(read_quarantine(store, name))} for name in refused_batches(store)]
        print_rows(batches, as_json=as_json, title="Refused batches")
        return
    name = snapshot if snapshot.startswith(REFUSED) else SnapshotStore(store).get(snapshot).id
    rows = read_quarantine(store, name)
    reasons = Counter(f"{row['field']}: {row['reason']}" for row in rows)
    if as_json:
        print_json({"name": name, "rows": rows[:limit], "total": len(rows), "reasons": dict(reasons.most_common())})
        return
    print_result(dict(reasons.most_common()), as_json=False, title=f"{len(rows)} rows in quarantine, by reason")
    print_rows(
        [
            {
                "line": row["line"],
                "field": row["field"],
                "reason": row["reason"],
                "row": " | ".join(text[:40] for text in row["row"].values() if text)[:100],
            }
            for row in rows[:limit]
        ],
        as_json=False,
        title="Rows",
    )


@app.command(epilog=examples("plumbline data scenarios"))
def scenarios(as_json: JsonOption = False) -> None:
    """Lists the drift scenarios."""
    from plumbline.data.scenarios import SCENARIOS

    rows: list[Any] = [
        {
            "name": each.name,
            "kind": each.kind,
            "share": each.share,
            "columns": list(each.columns) if as_json else ", ".join(each.columns),
            "description": each.description,
        }
        for each in SCENARIOS.values()
    ]
    print_rows(rows, as_json=as_json, title="Drift scenarios")


@app.command(epilog=examples("plumbline data schema --of mapping"))
def schema(
    of: Annotated[Literal["contract", "request", "mapping"], typer.Option(help="Which schema.")] = "contract",
    as_json: JsonOption = False,  # noqa: ARG001 - the schema is JSON either way
) -> None:
    """Prints the JSON Schema of the posting contract, of a request, or of mapping files."""
    from plumbline.data.contract import Posting, PostingRequest
    from plumbline.data.mapping import Mapping

    models: dict[str, type[BaseModel]] = {"contract": Posting, "request": PostingRequest, "mapping": Mapping}
    print_json(models[of].model_json_schema())


def _open(data: Path, mapping: Path | None, settings: Settings) -> tuple[FileSource, RowMapper]:
    from plumbline.data.mapping import RowMapper, contract_mapping, load_mapping, open_file
    from plumbline.data.reading import FileSource

    if mapping is None:
        source = FileSource(data)
        chosen = contract_mapping(source.columns)
    else:
        chosen = load_mapping(mapping)
        source = open_file(data, chosen)
    return source, RowMapper(chosen, source.columns, _delay(settings))


def _collected(stated: str | None) -> datetime:
    return datetime.now(UTC) if stated is None else parse_instant(stated)


def _generator_config(settings: Settings, rows: int | None, weeks: int | None, seed: int | None) -> GeneratorConfig:
    given = {"rows": rows, "weeks": weeks, "seed": seed}
    return settings.data.generator.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def _drift(name: str | None, change_point: str | None, seed: int) -> Any:
    from plumbline.data.ingest import Drift
    from plumbline.data.scenarios import scenario

    if (name is None) != (change_point is None):
        raise UserError("Give --scenario and --change-point together.")
    if name is None or change_point is None:
        return None
    scenario(name)
    return Drift(name, parse_instant(change_point), seed)


def _admitted(admission: Admission) -> dict[str, Any]:
    return {
        "rows": {
            "read": admission.rows_read,
            "admitted": len(admission.postings),
            "quarantined": len(admission.quarantine),
        },
        "quarantine_reasons": dict(admission.quarantine.reasons.most_common()),
        "masked": admission.masked,
        "schema_diff": asdict(admission.schema_diff),
        "unmapped": admission.unmapped,
        "unparsed": admission.unparsed,
    }


def _delay(settings: Settings) -> float:
    return float(settings.data.default_label_delay_days)


def _weeks(first: datetime, last: datetime) -> int:
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    return int((last - day) / timedelta(days=7)) + 1
