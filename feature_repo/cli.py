"""`plumbline features`: definitions, views, the online store, training sets, and the gate over both paths.

Feast takes seconds to import: nothing here imports it before a command runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.cli.output import JsonOption, examples, print_json, print_result, print_rows, progress_console, step
from plumbline.features.instants import instant_of
from plumbline.settings import Settings, load_settings

if TYPE_CHECKING:
    from plumbline.features.collected import Collected

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Feast features, for training and for serving.")

SnapshotOption = Annotated[str, typer.Option("--snapshot", help="Snapshot id, a prefix of one, or 'latest'.")]
_INSTANT = "Instant, ISO 8601 (UTC unless it names a zone), or `now`, or `latest`: after the snapshot's last posting."
AsOfOption = Annotated[str, typer.Option("--as-of", help=_INSTANT)]
OptionalAsOf = Annotated[str | None, typer.Option("--as-of", help=f"{_INSTANT} Default: all there is.")]
PairsOption = Annotated[int | None, typer.Option(help="Pairs to compare. Default: features.parity_pairs.", min=1)]
SeedOption = Annotated[int, typer.Option(help="Seed of the draw of pairs.")]


@app.command("apply", epilog=examples("plumbline features apply"))
def apply_command(as_json: JsonOption = False) -> None:
    """Writes the definitions to the registry and prepares the online store."""
    from plumbline.features.repo import feature_repo

    settings = load_settings()
    with step("Apply definitions"):
        applied = feature_repo(settings).apply(settings)
    print_result(applied, as_json=as_json, title="Applied")


@app.command(epilog=examples("plumbline features build --snapshot latest"))
def build(snapshot: SnapshotOption = "latest", as_of: OptionalAsOf = None, as_json: JsonOption = False) -> None:
    """Computes the batch views from a snapshot's posting log, up to an instant or for all of it."""
    from plumbline.features.repo import feature_repo

    settings = load_settings()
    until = instant_of(as_of, settings, snapshot=snapshot) if as_of else None
    collected = _collected(settings, snapshot)
    with step("Build views"):
        built = feature_repo(settings).build_views(
            settings, collected.postings, snapshot_id=collected.snapshot_id, until=until
        )
    result = {**built.model_dump(mode="json"), "future_postings_ignored": collected.ignored}
    if as_json:
        print_json(result)
    else:
        print_result({**result.pop("rows"), **result}, as_json=False, title="Built views (rows)")


@app.command(epilog=examples("plumbline features materialize --as-of latest"))
def materialize(
    as_of: AsOfOption,
    full: Annotated[
        bool, typer.Option(help="Write every row, and ask the store itself what else it holds, instead of the record.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Brings the online store to what the views say at an instant; writes what differs."""
    from plumbline.features.materialize import materialize as run

    settings = load_settings()
    instant = instant_of(as_of, settings)
    with step("Materialise the online store"):
        done = run(settings, instant, full=full)
    result = {"end": done.end.isoformat(), **done.counts, "seconds": round(done.seconds, 3)}
    if as_json:
        print_json({**result, "views": {name: vars(changes) for name, changes in done.views.items()}})
    else:
        print_result(result, as_json=False, title="Materialised (rows)")


@app.command("training-set", epilog=examples("plumbline features training-set --as-of latest --out training.parquet"))
def training_set_command(
    as_of: AsOfOption,
    snapshot: SnapshotOption = "latest",
    out: Annotated[Path | None, typer.Option(help="Parquet file to write the rows to.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Joins the features to the postings and labels known at an instant, each as of the posting's own time."""
    from feature_repo.prepare import describe
    from plumbline.features.offline import training_set

    settings = load_settings()
    instant = instant_of(as_of, settings, snapshot=snapshot)
    collected = _collected(settings, snapshot)
    with step("Join the training set"):
        training = training_set(settings, collected.postings, instant)
    result: dict[str, Any] = {"snapshot_id": collected.snapshot_id, "as_of": instant.isoformat(), **describe(training)}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        training.to_parquet(out, index=False)
        result["out"] = str(out)
    print_result(result, as_json=as_json, title="Training set")


@app.command(epilog=examples("plumbline features parity --pairs 500"))
def parity(
    snapshot: SnapshotOption = "latest", pairs: PairsOption = None, seed: SeedOption = 0, as_json: JsonOption = False
) -> None:
    """Compares offline and online features on sampled pairs, and records it; exit code 3 unless all are equal."""
    from plumbline.features.measure import measure_parity

    settings = load_settings()
    collected = _collected(settings, snapshot)
    with step("Compare offline and online"):
        measured = measure_parity(
            settings,
            collected.postings,
            snapshot_id=collected.snapshot_id,
            command="plumbline features parity",
            pairs=pairs,
            seed=seed,
        )
    report = measured.report
    result = report.model_dump(mode="json")
    if as_json:
        print_json({**result, "snapshot_id": collected.snapshot_id, "record": measured.record.key})
    else:
        figures = {name: result[name] for name in ("checked", "matched", "values", "served", "expired", "missing")}
        print_result({**figures, "recorded": measured.record.key}, as_json=False, title="Parity")
        if report.mismatches:
            print_rows(list[Mapping[str, Any]](report.mismatches), as_json=False, title="First mismatches")
    report.require()


@app.command("prepare", epilog=examples("plumbline features prepare --as-of latest"))
def prepare_command(
    as_of: AsOfOption,
    snapshot: SnapshotOption = "latest",
    pairs: PairsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Applies, builds, materialises, joins and compares, in one process; exit code 3 unless both paths agree."""
    from feature_repo.prepare import prepare

    settings = load_settings()
    instant = instant_of(as_of, settings, snapshot=snapshot)
    collected = _collected(settings, snapshot)
    result, report = prepare(settings, collected, as_of=instant, pairs=pairs, seed=seed, step=step)
    if as_json:
        print_json(result)
    else:
        shown = {**result, "parity": {k: v for k, v in result["parity"].items() if k not in ("instants", "mismatches")}}
        print_result(shown, as_json=False, title="Prepared features")
    report.require()


@app.command("refresh", epilog=examples("plumbline features refresh --measure"))
def refresh_command(
    snapshot: SnapshotOption = "latest",
    as_of: AsOfOption = "latest",
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure and record parity, too; exit code 3 unless both paths agree.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Applies, builds and materialises, for the latest snapshot unless told otherwise: what a schedule runs."""
    from feature_repo.refresh import refresh

    settings = load_settings()
    collected = _collected(settings, snapshot)
    instant = instant_of(as_of, settings, snapshot=collected.snapshot_id)
    result, report = refresh(settings, collected, as_of=instant, measure=measure, step=step)
    print_result(result, as_json=as_json, title="Refreshed features")
    if report is not None:
        report.require()


@app.command(epilog=examples("plumbline features show"))
def show(as_json: JsonOption = False) -> None:
    """Lists the views: key, TTL, rows built, and how far the online store has been brought."""
    from feature_repo.show import describe_views

    print_rows(describe_views(load_settings()), as_json=as_json, title="Feature views")


@app.command(epilog=examples("plumbline features serve"))
def serve() -> None:
    """Runs Feast's feature server in the foreground until SIGTERM; address and port are settings."""
    from feature_repo.server import serve as run

    settings = load_settings()
    progress_console.print(f"Features: http://{settings.features.server_host}:{settings.features.server_port}")
    run(settings)


def _collected(settings: Settings, snapshot: str) -> Collected:
    from plumbline.features.collected import read_collected

    with step("Read the snapshot"):
        return read_collected(settings, snapshot)
