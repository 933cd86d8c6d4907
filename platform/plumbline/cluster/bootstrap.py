"""The first model of an installation; with a champion, only its features. May be killed and run again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.cluster.commands import answer_of
from plumbline.cluster.services import Service, check_of
from plumbline.cluster.waiting import Tell, wait_until
from plumbline.errors import GateRefusedError, UserError
from plumbline.features.instants import LATEST
from plumbline.settings import Settings

_CHAMPION = "champion"
_S3 = "s3://"
_NEEDED: tuple[Service, ...] = ("objectstore", "mlflow", "redis")


@dataclass(frozen=True)
class Source:
    """Postings of the first snapshot.

    Attributes:
        data: A file, or `s3://bucket/key` in the settings' object store; None takes the generator.
        mapping: Mapping file of the data.
        rows: Postings to generate.
        weeks: Weeks that they are spread over.
        seed: Of the generator.
    """

    data: str | None
    mapping: Path | None
    rows: int
    weeks: int
    seed: int


def bootstrap(
    settings: Settings, source: Source, *, as_of: str | None, pairs: int, timeout_seconds: float, tell: Tell
) -> dict[str, Any]:
    """Brings an installation to where it can serve.

    Every step asks first whether its work is done; a run that was killed leaves nothing that a further run minds.

    Args:
        settings: The installation.
        source: Postings, for an installation without a snapshot.
        as_of: Instant that the model knows; None is the first of the features' grid after the newest posting.
        pairs: (entity, time) pairs of the parity gate.
        timeout_seconds: How long to wait for each service that the settings name.
        tell: Takes progress.

    Returns:
        What was done: `champion`, `trained`, and what the steps answered.

    Raises:
        GateRefusedError: The gate did not let the first model in: a run after it trains no second one from the same
            postings, it only says so again.
        PlumblineError: A step failed.
    """
    for service in _NEEDED:
        wait_until(service, check_of(service, settings), timeout_seconds=timeout_seconds, tell=tell)
    if _on_postgres(settings):
        wait_until("postgres", check_of("postgres", settings), timeout_seconds=timeout_seconds, tell=tell)
    versions = answer_of(["models", "list"])["rows"]
    champion = next((row for row in versions if _CHAMPION in str(row["aliases"]).split(", ")), None)
    if champion is not None:
        return _refresh(champion, tell)
    snapshots = answer_of(["data", "snapshots"])["rows"]
    if snapshots:
        snapshot = str(snapshots[-1]["id"])
        tell(f"no champion yet; snapshot {snapshot[:12]} is there")
    else:
        tell("no champion and no snapshot yet: reading postings")
        with _arguments(settings, source) as words:
            snapshot = str(answer_of(["data", "ingest", *words])["snapshot_id"])
    wanted = as_of or LATEST
    tell(f"features as of {wanted}")
    prepared = answer_of(["features", "prepare", "--snapshot", snapshot, "--as-of", wanted, "--pairs", str(pairs)])
    instant = str(prepared["as_of"])
    _require_untried(versions, snapshot, instant)
    trained = _train(settings, snapshot, instant, tell)
    if not trained["promoted"]:
        gate = trained["gate"]
        raise _kept_out(str(trained["model_version"]), str(gate["verdict"]), " ".join(gate["reasons"]))
    return {
        "champion": str(trained["model_version"]),
        "trained": True,
        "snapshot_id": snapshot,
        "as_of": instant,
        "parity": float(prepared["parity"]["share"]),
        "metrics": trained["metrics"],
    }


def _on_postgres(settings: Settings) -> bool:
    url = settings.features.registry_url
    return url is not None and url.get_secret_value().startswith("postgres")


def _require_untried(versions: list[dict[str, Any]], snapshot: str, as_of: str) -> None:
    """A Job that is started again would train the same model, and be refused again."""
    for row in versions:
        if row["gate"] in ("reject", "review") and row["as_of"] == as_of:
            known = answer_of(["models", "show", str(row["version"])])
            if known["snapshot_id"] == snapshot:
                raise _kept_out(str(known["version"]), str(known["gate"]), str(known["reasons"]))


def _kept_out(version: str, verdict: str, reasons: str) -> GateRefusedError:
    # Other postings would not make a slow model faster.
    reject = verdict != "review"
    override = " --override-gate" if reject else ""
    other = " To train another, ingest other postings with `plumbline data ingest --data FILE ...`." if reject else ""
    return GateRefusedError(
        f"The gate did not let the first model (version {version}) in: {reasons} `plumbline models show {version}` has "
        f"its figures. To serve it nevertheless, run `plumbline models promote {version}{override} --reason ...`."
        f"{other}"
    )


def _refresh(champion: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Definitions of this version, and the online store again: its server may have lost what it held."""
    tell(f"version {champion['version']} is the champion: applying and materialising features only")
    applied = answer_of(["features", "apply"])
    materialised = answer_of(["features", "materialize", "--full", "--as-of", LATEST])
    return {
        "champion": str(champion["version"]),
        "trained": False,
        "applied": applied,
        "materialised_until": materialised["end"],
    }


def _train(settings: Settings, snapshot: str, as_of: str, tell: Tell) -> dict[str, Any]:
    runner = settings.pipelines.runner
    tell(f"training the first model ({runner})")
    # A bootstrap that is killed and run again takes up the run that it had started.
    submit = ["pipeline", "submit", "training", "--wait", "--key", f"bootstrap-{snapshot[:12]}"]
    start = submit if runner == "kfp" else ["pipeline", "run", "training"]
    return answer_of(
        [
            *start, "--snapshot", snapshot, "--as-of", as_of,
            "--reason", "The installation's first model.", "--set", "pipelines.require_approval=false",
        ]
    )  # fmt: skip


@contextmanager
def _arguments(settings: Settings, source: Source) -> Iterator[list[str]]:
    if source.data is None:
        yield [
            "--generate", "--rows", str(source.rows), "--weeks", str(source.weeks), "--seed", str(source.seed),
        ]  # fmt: skip
        return
    mapping = [] if source.mapping is None else ["--mapping", str(source.mapping)]
    if not source.data.startswith(_S3):
        yield ["--data", source.data, *mapping]
        return
    with tempfile.TemporaryDirectory(prefix="plumbline-data-") as folder:
        yield ["--data", str(_fetched(settings, source.data, Path(folder))), *mapping]


def _fetched(settings: Settings, address: str, folder: Path) -> Path:
    from botocore.exceptions import BotoCoreError, ClientError

    from plumbline.cluster.buckets import client_of
    from plumbline.cluster.waiting import sentence

    bucket, _, key = address.removeprefix(_S3).partition("/")
    target = folder / Path(key).name
    try:
        client_of(settings.store).download_file(bucket, key, str(target))
    except (BotoCoreError, ClientError, OSError) as error:
        raise UserError(f"{address} cannot be read: {sentence(error)}") from error
    return target
