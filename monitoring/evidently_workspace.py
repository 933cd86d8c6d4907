"""Where Evidently's runs are kept for its pages: a folder of this machine, or an Evidently UI elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from monitoring.evidently_adapter import EvidentlyReport, import_quietly
from monitoring.evidently_panels import ensure_panels
from plumbline import paths
from plumbline.errors import DependencyError
from plumbline.settings import Settings


@dataclass(frozen=True)
class Added:
    """Where a report's page is to be seen.

    Attributes:
        path: Path of the page in the Evidently UI that serves the workspace.
        url: Its address, where the workspace is a UI that runs.
    """

    path: str
    url: str | None = None


class Workspace(Protocol):
    """Runs of one project."""

    def add(self, report: EvidentlyReport, *, keep: int) -> Added:
        """Adds a report, removes the oldest beyond `keep`, and sees that the project has its panels.

        Raises:
            DependencyError: The Evidently UI did not take it.
        """
        ...


def open_workspace(settings: Settings, project: str) -> Workspace:
    """The Evidently UI that the settings name, else the folder under `home`."""
    monitoring = settings.monitoring
    if monitoring.evidently_url is not None:
        return RemoteWorkspace(monitoring.evidently_url, project, timeout=monitoring.evidently_timeout_seconds)
    return FolderWorkspace(workspace_dir(settings), project)


def workspace_dir(settings: Settings) -> Path:
    """Folder of Evidently's workspace, which `plumbline monitor ui` serves."""
    return paths.monitoring_dir(settings) / "evidently"


class FolderWorkspace:
    """Evidently's workspace folder."""

    def __init__(self, folder: Path, project: str) -> None:
        """Opens the folder; it and the project are made where they are missing."""
        import_quietly()
        from evidently.ui.workspace import Workspace as EvidentlyWorkspace

        folder.mkdir(parents=True, exist_ok=True)
        self._workspace = EvidentlyWorkspace.create(str(folder))
        found = self._workspace.search_project(project)
        self._project = found[0] if found else self._workspace.create_project(project)

    def add(self, report: EvidentlyReport, *, keep: int) -> Added:
        """See `Workspace.add`."""
        added = self._workspace.add_run(self._project.id, report.snapshot)
        runs = list(self._workspace.list_runs(self._project.id))
        for old in sorted(runs, key=str)[:-keep]:
            self._workspace.delete_run(self._project.id, old)
        ensure_panels(self._workspace, self._project.id)
        return Added(_page(added))


class RemoteWorkspace:
    """A running Evidently UI. Nothing is sent before a report is added."""

    def __init__(self, url: str, project: str, *, timeout: float) -> None:
        self._url = url
        self._project = project
        self._timeout = timeout

    def add(self, report: EvidentlyReport, *, keep: int) -> Added:
        """See `Workspace.add`."""
        import_quietly()
        from evidently.errors import EvidentlyError
        from requests import RequestException

        try:
            remote = _client(self._url, self._timeout)
            # By the list: the search carries the name in its path, where not every name arrives.
            found = [each for each in remote.list_projects() if each.name == self._project]
            project = found[0] if found else remote.create_project(self._project)
            added = remote.add_run(project.id, report.snapshot)
            # Evidently's client has no calls for these two (0.7.23); its service has.
            runs = remote._request(f"/api/projects/{project.id}/snapshots", "GET").json()
            for old in sorted(str(each["id"]) for each in runs)[:-keep]:
                remote._request(f"/api/projects/{project.id}/{old}", "DELETE")
            ensure_panels(remote, project.id)
        except (RequestException, EvidentlyError, ValueError) as error:
            raise DependencyError(
                f"The Evidently UI at {self._url} did not take the run: {error}. "
                "Check PLUMBLINE_MONITORING__EVIDENTLY_URL; the monitor's record holds all figures."
            ) from error
        return Added(_page(added), str(added.url))


def _page(added: Any) -> str:
    return f"/projects/{added.project_id}/reports/{added.id}"


def _client(url: str, timeout: float) -> Any:
    """Evidently's remote workspace with a limit on every wait: its own waits for ever."""
    from evidently._pydantic_compat import parse_obj_as
    from evidently.errors import EvidentlyError
    from evidently.ui.workspace import RemoteWorkspace as EvidentlyRemote
    from requests import Session

    class Client(EvidentlyRemote):  # type: ignore[misc]
        def _request(
            self, path: str, method: str, *rest: Any, response_model: Any = None, form_data: bool = False, **named: Any
        ) -> Any:
            request = self._prepare_request(path, method, *rest, form_data=form_data, **named)
            with Session() as session:
                answer = session.send(request.prepare(), timeout=timeout)
            if answer.status_code >= 400:
                raise EvidentlyError(f"HTTP {answer.status_code}: {answer.text[:200]}")
            return answer if response_model is None else parse_obj_as(response_model, answer.json())

    return Client(url, verify=False)


def serve_ui(folder: Path, *, host: str, port: int) -> None:
    """Serves Evidently's pages over a workspace until the process is stopped."""
    import_quietly()
    from evidently.ui.service.app import run_local

    folder.mkdir(parents=True, exist_ok=True)
    run_local(host=host, port=port, workspace=str(folder))
