"""`plumbline status`: what this installation holds, and what is running."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import httpx

from plumbline.cli.output import JsonOption, print_rows
from plumbline.errors import PlumblineError
from plumbline.settings import Settings, load_settings

_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class PartStatus:
    """One part, whether it is there, and the figure that says most about it."""

    part: str
    state: str
    detail: str


def status(as_json: JsonOption = False) -> None:
    """Shows snapshots, models, feature views, and which services answer."""
    settings = load_settings()
    parts = [
        PartStatus("home", "there" if settings.home.is_dir() else "empty", str(settings.home)),
        _snapshots(settings),
        *_models(settings),
        _service("serving", f"http://{settings.serving.host}:{settings.serving.port}/readyz"),
        _service("controller", f"{_scheme(settings)}://{settings.controller.host}:{settings.controller.port}/healthz"),
    ]
    print_rows([asdict(part) for part in parts], as_json=as_json, title="Status")


def _snapshots(settings: Settings) -> PartStatus:
    from plumbline.data.snapshot import SnapshotStore
    from plumbline.storage import open_store

    snapshots = SnapshotStore(open_store(settings)).list()
    if not snapshots:
        return PartStatus("snapshots", "none", "Run `plumbline data ingest` first.")
    latest = snapshots[-1]
    return PartStatus("snapshots", str(len(snapshots)), f"latest {latest.id[:12]}, {latest.rows} postings")


def _models(settings: Settings) -> list[PartStatus]:
    if not settings.home.is_dir() and settings.tracking.uri is None:
        return [PartStatus("champion", "none", "Run `plumbline pipeline run training` first.")]
    try:
        from plumbline.registry.models import ModelRegistry

        registry = ModelRegistry(settings)
    except PlumblineError as error:
        return [PartStatus("registry", "unreachable", str(error))]
    found = []
    for alias in ("champion", "challenger", "previous"):
        version = registry.version_of(alias)
        detail = "" if version is None else " ".join(registry.remarks(registry.get(version)))
        if alias == "champion" and version is None and registry.version_of("previous") is not None:
            detail = "It was deleted, or lost the alias; `plumbline models rollback --reason ...` brings one back."
        found.append(PartStatus(alias, "none" if version is None else f"version {version}", detail))
    return found


def _scheme(settings: Settings) -> str:
    return "http" if settings.controller.access.certificate_file is None else "https"


def _service(part: str, url: str) -> PartStatus:
    try:
        # Only whether it answers: its certificate may be of a CA of its own.
        code = httpx.get(url, timeout=_PROBE_SECONDS, verify=False).status_code  # noqa: S501 - nothing is sent
    except httpx.TransportError:
        return PartStatus(part, "not running", url)
    return PartStatus(part, "ready" if code == httpx.codes.OK else f"answers {code}", url)
