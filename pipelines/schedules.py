"""Brings the schedules of the settings to a KFP API server, and takes those away that are there no more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.catalogue import pipeline_named
from pipelines.server import Server, refusals
from pipelines.upload import Uploaded
from plumbline.errors import UserError
from plumbline.settings import Settings
from plumbline.settings.pipelines_cluster import Schedule

_PAGE = 100


@dataclass(frozen=True)
class Applied:
    """What happened to a schedule."""

    schedule: str
    pipeline: str
    change: str
    """created, replaced, kept or deleted"""


def apply_schedules(
    settings: Settings, server: Server, pipelines: Sequence[Uploaded], *, experiment: str
) -> list[Applied]:
    """Makes the server's recurring runs of this installation those of the settings.

    KFP cannot change a recurring run: one whose definition, or whose pipeline's version, has changed is made anew.
    Which are ours, and of which definition, is in their description.

    Args:
        settings: The schedules, and the installation's name (that of its ConfigMap).
        server: Where to.
        pipelines: The pipelines' current versions there.
        experiment: KFP experiment of their runs; created where it is missing.

    Raises:
        UserError: A schedule names a pipeline that does not exist, or a parameter that it does not take.
        DependencyError: The server refuses.
    """
    versions = {uploaded.pipeline: uploaded for uploaded in pipelines}
    wanted = {schedule.name: schedule for schedule in settings.pipelines.schedules}
    for schedule in wanted.values():
        if schedule.pipeline not in versions:
            raise UserError(
                f"The schedule {schedule.name} names the pipeline {schedule.pipeline}, which is none. "
                f"There are: {', '.join(versions)}."
            )
        _require_parameters(settings, schedule)
    done = []
    with refusals(server.host, "the schedules"):
        experiment_id = server.client.create_experiment(experiment, namespace=server.namespace).experiment_id
        there = _ours(settings, server, experiment_id)
        for name, found in there.items():
            if name not in wanted:
                server.client.delete_recurring_run(found.recurring_run_id)
                done.append(Applied(name, "", "deleted"))
        for name, schedule in wanted.items():
            uploaded = versions[schedule.pipeline]
            mark = _mark(settings, schedule, uploaded)
            found = there.get(name)
            if found is not None and found.description == mark:
                done.append(Applied(name, schedule.pipeline, "kept"))
                continue
            if found is not None:
                server.client.delete_recurring_run(found.recurring_run_id)
            _create(schedule, uploaded, mark, settings, server, experiment_id)
            done.append(Applied(name, schedule.pipeline, "created" if found is None else "replaced"))
    return done


def _require_parameters(settings: Settings, schedule: Schedule) -> None:
    """KFP would say so only when the first run of the schedule fails."""
    taken = list(pipeline_named(schedule.pipeline, settings).pipeline_spec.root.input_definitions.parameters)
    if unknown := [name for name in schedule.parameters if name not in taken]:
        raise UserError(
            f"The schedule {schedule.name} gives {', '.join(unknown)}, which the pipeline {schedule.pipeline} does not "
            f"take. It takes: {', '.join(sorted(taken))}."
        )


def _ours(settings: Settings, server: Server, experiment_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    token = ""
    while True:
        page: Any = server.client.list_recurring_runs(
            page_token=token, page_size=_PAGE, experiment_id=experiment_id, namespace=server.namespace
        )
        for run in page.recurring_runs or []:
            if (run.description or "").startswith(_owner(settings)):
                found[str(run.display_name)] = run
        token = page.next_page_token or ""
        if not token:
            return found


def _owner(settings: Settings) -> str:
    return f"Managed by Plumbline ({settings.pipelines.config_map}), definition "


def _mark(settings: Settings, schedule: Schedule, uploaded: Uploaded) -> str:
    content = f"{schedule.model_dump_json()} {uploaded.version_id} {settings.pipelines.service_account}"
    return f"{_owner(settings)}{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _create(
    schedule: Schedule, uploaded: Uploaded, mark: str, settings: Settings, server: Server, experiment_id: str
) -> None:
    server.client.create_recurring_run(
        experiment_id,
        schedule.name,
        description=mark,
        cron_expression=f"0 {schedule.cron}",  # KFP's first field is the second
        max_concurrency=schedule.max_concurrency,
        no_catchup=True,
        params=dict(schedule.parameters),
        pipeline_id=uploaded.pipeline_id,
        version_id=uploaded.version_id,
        enabled=schedule.enabled,
        enable_caching=None,
        service_account=settings.pipelines.service_account,
    )
