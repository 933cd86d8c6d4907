"""The registered versions, read: which there are, what the aliases name, and the content behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline.errors import IntegrityError, MissingInputError
from plumbline.registry.content import CARD_FILE, MODEL_FOLDER, REFERENCE_FILE, REGISTER, local_content
from plumbline.registry.digest import folder_digest
from plumbline.registry.names import TAG_DIGEST
from plumbline.registry.tracking import Tracking, configure
from plumbline.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.exceptions import MlflowException

_Names = list[str]  # inside the class, `list` is its method


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, as the registry describes it."""

    version: str
    run_id: str
    created_at: datetime
    aliases: tuple[str, ...]
    tags: dict[str, str]


@dataclass(frozen=True)
class LoadedModel:
    """A version whose content lies on this machine and matches its digest."""

    version: str
    path: Path
    """Folder of the PostingModel artefact, for `PostingModel.load`."""

    reference: Path | None
    """Parquet file with the reference of the monitors; None when the version was registered without one."""

    card: Path | None
    """Markdown model card; None when the version was registered without one."""

    tags: dict[str, str]


class Versions:
    """Versions and aliases of the model that the settings name, to read.

    Opening costs what `configure` costs (about 1.3 s with the import of MLflow). After that, `version_of` is one
    read of the registry: milliseconds on SQLite, so that serving may poll it.
    """

    def __init__(self, settings: Settings, tracking: Tracking | None = None) -> None:
        self._settings = settings
        self.tracking = tracking or configure(settings)
        self._client = self.tracking.client
        self._name = settings.tracking.model_name

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self._name

    def version_of(self, alias: str) -> str | None:
        """Version that an alias points to; None when it points nowhere. One read of the registry."""
        found = self._by_alias(alias)
        return None if found is None else str(found.version)

    def aliases(self) -> dict[str, str]:
        """Version by alias. One read of the registry."""
        return {alias: version for version, names in self._aliases().items() for alias in names}

    def get(self, alias_or_version: str) -> ModelVersion:
        """Describes a version.

        Raises:
            MissingInputError: There is no such alias or version.
        """
        return self._describe(self._find(alias_or_version), self._aliases())

    def list(self) -> list[ModelVersion]:
        """All versions, newest first."""
        aliases = self._aliases()
        found = self._client.search_model_versions(f"name = '{self._name}'", max_results=1000)
        versions = [self._describe(version, aliases) for version in found]
        return sorted(versions, key=lambda version: int(version.version), reverse=True)

    def fetch(self, alias_or_version: str) -> LoadedModel:
        """Brings a version's content to this machine and checks it. A local registry is read in place.

        Raises:
            MissingInputError: There is no such alias or version, or its content is gone or of no form that
                serving loads, or its digest was never written down.
            IntegrityError: The content is not what was registered.
        """
        found = self._find(alias_or_version)
        tags, version = dict(found.tags), str(found.version)
        digest = tags.get(TAG_DIGEST)
        if digest is None:
            raise MissingInputError(
                f"Version {version} of {self._name} has no tag {TAG_DIGEST}, so that nobody can tell whether its files "
                f"are those that were judged; it is not loaded. {REGISTER}"
            )
        content = local_content(
            self._settings, self._client.get_model_version_download_uri(self._name, version), digest
        )
        if folder_digest(content) != digest:
            raise IntegrityError(
                f"The content of model version {version} in {content} is not what was registered. "
                "Do not serve it: roll back with `plumbline models rollback --reason ...`, or train again."
            )
        return LoadedModel(
            version=version,
            path=content / MODEL_FOLDER,
            reference=_if_file(content / REFERENCE_FILE),
            card=_if_file(content / CARD_FILE),
            tags=tags,
        )

    def _find(self, alias_or_version: str) -> MlflowVersion:
        from mlflow.exceptions import MlflowException

        if not alias_or_version.isdigit():
            found = self._by_alias(alias_or_version)
            if found is None:
                raise MissingInputError(
                    f"No version of {self._name} has the alias {alias_or_version}. "
                    "`plumbline models list` shows what there is."
                )
            return found
        try:
            return self._client.get_model_version(self._name, alias_or_version)
        except MlflowException as error:
            if not _is_missing(error):
                raise
            raise MissingInputError(
                f"There is no version {alias_or_version} of {self._name}. `plumbline models list` shows what there is."
            ) from error

    def _by_alias(self, alias: str) -> MlflowVersion | None:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_model_version_by_alias(self._name, alias)
        except MlflowException as error:
            if not _is_missing(error):
                raise
            return None

    def _aliases(self) -> dict[str, _Names]:
        """Aliases by version."""
        from mlflow.exceptions import MlflowException

        try:
            aliases = self._client.get_registered_model(self._name).aliases
        except MlflowException as error:
            if not _is_missing(error):
                raise
            return {}  # no version was ever registered
        by_version: dict[str, _Names] = {}
        for alias, version in aliases.items():
            by_version.setdefault(str(version), []).append(alias)
        return by_version

    @staticmethod
    def _describe(version: MlflowVersion, aliases: Mapping[str, _Names]) -> ModelVersion:
        return ModelVersion(
            version=str(version.version),
            run_id=str(version.run_id),
            created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, tz=UTC),
            aliases=tuple(sorted(aliases.get(str(version.version), []))),
            tags=dict(version.tags),
        )


def _is_missing(error: MlflowException) -> bool:
    """Whether there is no such thing, in the words of the several stores; anything else is a registry that fails."""
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    return error.error_code in (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE))


def _if_file(path: Path) -> Path | None:
    return path if path.is_file() else None
