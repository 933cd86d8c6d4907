"""`plumbline status`: what this installation holds, and what is running."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import httpx

from plumbline import paths
from plumbline.cli.output import JsonOption, print_rows
from plumbline.errors import PlumblineError
from plumbline.settings import Settings, load_settings

if TYPE_CHECKING:
    from plumbline.registry.versions import ModelVersion

_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class PartStatus:
    """One part, whether it is there, and the figure that says most about it."""

    part: str
    state: str
    detail: str


STATUS_GROUP = "plumbline.status"
"""Entry points of this group are asked, too: what lies above the command line says its own."""


def status(as_json: JsonOption = False) -> None:
    """Shows what is there (snapshots, models, the gate's verdicts), what moved (monitors, alerts), and what runs."""
    settings = load_settings()
    parts = [
        PartStatus("home", "there" if settings.home.is_dir() else "empty", str(settings.home)),
        *_told("snapshots", lambda: [_snapshots(settings)]),
        *_told("registry", lambda: _models(settings)),
    ]
    for point in sorted(entry_points(group=STATUS_GROUP)):
        ask = point.load()
        parts += _told(point.name, lambda ask=ask: [PartStatus(*row) for row in ask(settings)])  # type: ignore[misc]
    parts += [
        *_told("retrainings", lambda: _loop(settings)),
        _service("serving", f"http://{settings.serving.host}:{settings.serving.port}/readyz"),
        _service("controller", f"{_scheme(settings)}://{settings.controller.host}:{settings.controller.port}/healthz"),
    ]
    print_rows([asdict(part) for part in parts], as_json=as_json, title="Status")


def _told(part: str, ask: Callable[[], list[PartStatus]]) -> list[PartStatus]:
    """What a part says; one that is away does not hide the others."""
    try:
        return ask()
    except PlumblineError as error:
        return [PartStatus(part, "unreachable", str(error))]


def _snapshots(settings: Settings) -> PartStatus:
    from plumbline.data.snapshot import SnapshotStore
    from plumbline.storage import open_store

    snapshots = SnapshotStore(open_store(settings)).list()
    if not snapshots:
        return PartStatus(
            "snapshots", "none", "Run `plumbline data ingest --generate`, or with a file of your own, first."
        )
    latest = snapshots[-1]
    return PartStatus("snapshots", str(len(snapshots)), f"latest {latest.id[:12]}, {latest.rows} postings")


def _models(settings: Settings) -> list[PartStatus]:
    if not settings.home.is_dir() and settings.tracking.uri is None:
        return [PartStatus("champion", "none", "Run `plumbline pipeline run training` first.")]
    from plumbline.registry.models import ModelRegistry

    registry = ModelRegistry(settings)
    found = []
    for alias in ("champion", "challenger", "previous"):
        version = registry.version_of(alias)
        detail = "" if version is None else " ".join(registry.remarks(registry.get(version)))
        if alias == "champion" and version is None and registry.version_of("previous") is not None:
            detail = "It was deleted, or lost the alias; `plumbline models rollback --reason ...` brings one back."
        found.append(PartStatus(alias, "none" if version is None else f"version {version}", detail))
    for name in dict.fromkeys((settings.tracking.model_name, *settings.serving.models)):
        tracking = settings.tracking.model_copy(update={"model_name": name})
        found.append(_verdict(name, ModelRegistry(settings.model_copy(update={"tracking": tracking})).list()))
    return found


def _verdict(name: str, versions: list[ModelVersion]) -> PartStatus:
    """The gate's last word on a model: of its newest version that has one."""
    for version in versions:
        if verdict := version.tags.get("plumbline.gate.verdict"):
            reasons = version.tags.get("plumbline.gate.reasons", "")
            return PartStatus(f"gate {name}", verdict, f"version {version.version}: {reasons}")
    return PartStatus(f"gate {name}", "none", "No version was judged: `plumbline pipeline run training` trains one.")


def _loop(settings: Settings) -> list[PartStatus]:
    from plumbline.controller.health import describe
    from plumbline.controller.records import OPEN
    from plumbline.controller.state import open_state

    if not (paths.controller_dir(settings) / "state.sqlite").exists():
        return [PartStatus("loop", "off", "No controller has run here: `plumbline controller run` starts one.")]
    known = describe(settings, open_state(settings))
    firing = [alert for alert in known["alerts"] if alert["status"] == "firing"]
    last = next(
        (f"last {alert['name']} at {alert['last_seen'][:19]}: {alert['action']}" for alert in known["alerts"]), ""
    )
    retrainings = known["retrainings"]
    counts = Counter(each["state"] for each in retrainings)
    waiting = ", ".join(f"{counts[state]} {state}" for state in OPEN if counts[state]) or "none open"
    latest = ""
    if retrainings:
        newest = retrainings[-1]
        known_of_it = (
            newest["state"],
            newest["model_version"] and f"version {newest['model_version']}",
            newest["error"],
        )
        latest = f"last: number {newest['id']}, {', '.join(filter(None, known_of_it))}"
    return [
        PartStatus("alerts", f"{len(firing)} firing", last),
        PartStatus("retrainings", waiting, latest),
        PartStatus("loop", "alive" if known["controller"]["works"] else "dead", known["controller"]["message"]),
    ]


def _scheme(settings: Settings) -> str:
    return "http" if settings.controller.access.certificate_file is None else "https"


def _service(part: str, url: str) -> PartStatus:
    try:
        # Only whether it answers: its certificate may be of a CA of its own.
        code = httpx.get(url, timeout=_PROBE_SECONDS, verify=False).status_code  # noqa: S501 - nothing is sent
    except httpx.TransportError:
        return PartStatus(part, "not running", url)
    return PartStatus(part, "ready" if code == httpx.codes.OK else f"answers {code}", url)
