"""Brings the compiled pipelines to a KFP API server: a new version where one has changed."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalogue import PIPELINES
from pipelines.compiling import compile_pipeline
from pipelines.server import Server, refusals
from plumbline import __version__
from plumbline.settings import Settings

_PAGE = 100
_DIGITS = 12


@dataclass(frozen=True)
class Uploaded:
    """A pipeline as the server has it now."""

    pipeline: str
    pipeline_id: str
    version: str
    version_id: str
    new: bool
    """This version was uploaded just now."""


def upload(settings: Settings, server: Server) -> list[Uploaded]:
    """Uploads every pipeline whose content the server does not have yet.

    The version's name holds the digest of the compiled file, which says what it runs, in which image, with which
    credentials and resources: the same content is uploaded once, whoever asks and however often.

    Raises:
        DependencyError: The server refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [_upload(name, compile_pipeline(name, settings, Path(folder)), server) for name in PIPELINES]


def content_version(path: Path) -> str:
    """Name of the version with this content."""
    return f"{__version__}-{hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]}"


def _upload(name: str, path: Path, server: Server) -> Uploaded:
    version = content_version(path)
    with refusals(server.host, f"the pipeline {name}"):
        pipeline_id = _find_pipeline(name, server) or _create_pipeline(name, server)
        version_id = _find_version(pipeline_id, version, server)
        new = version_id is None
        if version_id is None:
            done = server.client.upload_pipeline_version(
                str(path), pipeline_version_name=version, pipeline_id=pipeline_id
            )
            version_id = str(done.pipeline_version_id)
    return Uploaded(name, pipeline_id, version, version_id, new)


def _find_pipeline(name: str, server: Server) -> str | None:
    token = ""
    while True:
        page: Any = server.client.list_pipelines(page_token=token, page_size=_PAGE, namespace=server.namespace)
        for pipeline in page.pipelines or []:
            if name in (pipeline.name, pipeline.display_name):
                return str(pipeline.pipeline_id)
        token = page.next_page_token or ""
        if not token:
            return None


def _create_pipeline(name: str, server: Server) -> str:
    """An empty pipeline: KFP's own upload of a first version would name that one after the pipeline."""
    import kfp_server_api

    body = kfp_server_api.V2beta1Pipeline(display_name=name, name=name, namespace=server.namespace)
    return str(server.pipelines.pipeline_service_create_pipeline(body).pipeline_id)


def _find_version(pipeline_id: str, version: str, server: Server) -> str | None:
    token = ""
    while True:
        page: Any = server.client.list_pipeline_versions(pipeline_id, page_token=token, page_size=_PAGE)
        for found in page.pipeline_versions or []:
            if version in (found.name, found.display_name):
                return str(found.pipeline_version_id)
        token = page.next_page_token or ""
        if not token:
            return None
