"""The model registry: versions, the aliases that serving follows, and the content behind them.

Aliases: `champion` is served; `challenger` has passed training and waits for a decision; `previous` is what
`rollback` returns to; `canary` and `shadow` are being let in (`plumbline.registry.releases`). Everything else about
a version is in its tags.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline import paths
from plumbline.errors import GateRefusedError, IntegrityError, MissingInputError
from plumbline.locks import exclusive
from plumbline.registry.audit import AuditEntry, AuditLog
from plumbline.registry.content import CARD_FILE, MODEL_FOLDER, REFERENCE_FILE, local_content
from plumbline.registry.digest import folder_digest
from plumbline.registry.tracking import Tracking, configure
from plumbline.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.exceptions import MlflowException

__all__ = [
    "CANARY",
    "CARD_FILE",
    "CHALLENGER",
    "CHAMPION",
    "MODEL_FOLDER",
    "PREVIOUS",
    "REFERENCE_FILE",
    "SHADOW",
    "TAG_AS_OF",
    "TAG_DIGEST",
    "TAG_FEATURE_DEFINITION",
    "TAG_PARITY",
    "TAG_PROMOTED_AT",
    "TAG_ROLLED_BACK_AT",
    "TAG_SNAPSHOT",
    "TAG_VERDICT",
    "LoadedModel",
    "ModelRegistry",
    "ModelVersion",
]

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
CANARY = "canary"
SHADOW = "shadow"

TAG_DIGEST = "plumbline.digest"
TAG_VERDICT = "plumbline.gate.verdict"
TAG_PROMOTED_AT = "plumbline.promoted_at"
TAG_ROLLED_BACK_AT = "plumbline.rolled_back_at"
TAG_AS_OF = "plumbline.as_of"
TAG_SNAPSHOT = "plumbline.snapshot"
TAG_FEATURE_DEFINITION = "plumbline.features.definition"
TAG_PARITY = "plumbline.parity"
"""The record of parity that the gate has read, JSON."""

_Names = list[str]  # inside the class, `list` is its method
_Entries = list[AuditEntry]

_ABOUT = "Serving follows the alias `champion`. Each version's page is its model card."

_CHANGES = frozenset({"register", "promote", "reject", "rollback"})


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


class ModelRegistry:
    """Versions and aliases of the model that the settings name.

    Opening costs what `configure` costs (about 1.3 s with the import of MLflow). After that, `version_of` is one
    read of the registry: milliseconds on SQLite, so that serving may poll it.
    """

    def __init__(self, settings: Settings, tracking: Tracking | None = None) -> None:
        self._settings = settings
        self.tracking = tracking or configure(settings)
        self._client = self.tracking.client
        self._name = settings.tracking.model_name
        self._audit = AuditLog(settings)

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self._name

    def register(
        self,
        run_id: str,
        *,
        artifact_uri: str,
        model_id: str | None = None,
        tags: Mapping[str, str],
        description: str = "",
        reason: str = "A training run finished.",
    ) -> str:
        """Registers a logged model as a new version, without any alias.

        Args:
            run_id: MLflow run that trained it.
            artifact_uri: Address of the logged model's content: a folder with `artifacts/posting_model` in it.
            model_id: MLflow's id of the logged model, where it was logged by MLflow.
            tags: Facts about the version; its digest, snapshot and `as_of` among them.
            description: Markdown text shown in MLflow's views.
            reason: Why, for the audit log.

        Returns:
            The new version's number.
        """
        from mlflow.exceptions import MlflowException

        content = local_content(self._settings, artifact_uri)
        with contextlib.suppress(MlflowException):  # it exists from the second version on
            self._client.create_registered_model(self._name, description=_ABOUT)
        version = str(
            self._client.create_model_version(
                self._name,
                source=artifact_uri,
                run_id=run_id,
                model_id=model_id,
                tags={**tags, TAG_DIGEST: folder_digest(content)},
                description=description,
            ).version
        )
        self._log("register", version, reason, {})
        return version

    def version_of(self, alias: str) -> str | None:
        """Version that an alias points to; None when it points nowhere. One read of the registry."""
        found = self._by_alias(alias)
        return None if found is None else str(found.version)

    def aliases(self) -> dict[str, str]:
        """Version by alias. One read of the registry."""
        return {alias: version for version, names in self._aliases().items() for alias in names}

    def set_alias(self, alias: str, version: str) -> None:
        """Points an alias to a version that is there."""
        self._client.set_registered_model_alias(self._name, alias, version)

    def remove_alias(self, alias: str) -> None:
        """Takes an alias away."""
        self._client.delete_registered_model_alias(self._name, alias)

    def challenge(self, version: str) -> None:
        """Points `challenger` to the version.

        Raises:
            MissingInputError: There is no such version.
        """
        self.get(version)
        self._client.set_registered_model_alias(self._name, CHALLENGER, version)

    def set_tags(self, version: str, tags: Mapping[str, str]) -> None:
        """Adds facts to a version."""
        for key, value in tags.items():
            self._client.set_model_version_tag(self._name, version, key, value)

    def remove_tags(self, version: str, keys: Iterable[str]) -> None:
        """Takes facts away from a version; those that it does not have are left at that."""
        for key in self.get(version).tags.keys() & set(keys):
            self._client.delete_model_version_tag(self._name, version, key)

    def promote(
        self, version: str, reason: str, *, numbers: Mapping[str, Any] | None = None, override_gate: bool = False
    ) -> None:
        """Makes the version champion; the champion so far becomes `previous`.

        The order of the writes is such that a process killed between them leaves a served champion: first
        `previous`, then `champion`, then the aliases that led there are removed: `challenger`, `canary`, `shadow`.

        Args:
            version: Version number.
            reason: Why, for the audit log.
            numbers: Figures behind the decision, for the audit log.
            override_gate: Promote although the gate rejected the version.

        Raises:
            MissingInputError: There is no such version.
            GateRefusedError: The gate rejected the version and `override_gate` is not set.
        """
        tags = self.get(version).tags
        if tags.get(TAG_VERDICT) == "reject" and not override_gate:
            raise GateRefusedError(
                f"The gate rejected version {version} (`plumbline models show {version}` says why). "
                "Train another, or promote it nevertheless with --override-gate."
            )
        with self.changing():
            champion = self.version_of(CHAMPION)
            if champion is not None and champion != version:
                self._client.set_registered_model_alias(self._name, PREVIOUS, champion)
            self._client.set_model_version_tag(self._name, version, TAG_PROMOTED_AT, datetime.now(UTC).isoformat())
            self._client.set_registered_model_alias(self._name, CHAMPION, version)
            for alias in (CHALLENGER, CANARY, SHADOW):
                if self.version_of(alias) == version:
                    self._client.delete_registered_model_alias(self._name, alias)
            if champion != version and TAG_ROLLED_BACK_AT in tags:
                self._client.delete_model_version_tag(self._name, version, TAG_ROLLED_BACK_AT)
        parity = {"parity": json.loads(tags[TAG_PARITY])} if TAG_PARITY in tags else {}
        about = {"before": champion, "override_gate": override_gate, **parity, **(numbers or {})}
        self._log("promote", version, reason, about)

    def reject(self, version: str, reason: str, *, numbers: Mapping[str, Any] | None = None) -> None:
        """Records that a version stays out; it loses the alias `challenger` if it has it."""
        if self.version_of(CHALLENGER) == version:
            self._client.delete_registered_model_alias(self._name, CHALLENGER)
        self._log("reject", version, reason, numbers or {})

    def rollback(self, reason: str) -> str:
        """Makes the previous champion champion again.

        `previous` then points to the champion before that one (versions that were rolled back are passed over),
        so that a second rollback goes further back and never returns to the version that was just removed.

        Returns:
            The version that is champion now.

        Raises:
            MissingInputError: There is no previous champion.
        """
        with self.changing():
            removed, target = self.version_of(CHAMPION), self.version_of(PREVIOUS)
            if removed is None or target is None or target == removed:
                raise MissingInputError(
                    "There is no previous champion to return to. `plumbline models list` shows the versions; "
                    "promote one of them with `plumbline models promote VERSION --reason ...`."
                )
            self._client.set_model_version_tag(self._name, removed, TAG_ROLLED_BACK_AT, datetime.now(UTC).isoformat())
            self._client.set_registered_model_alias(self._name, CHAMPION, target)
            before = self._champion_before(target, {removed, target})
            if before is None:
                self._client.delete_registered_model_alias(self._name, PREVIOUS)
            else:
                self._client.set_registered_model_alias(self._name, PREVIOUS, before)
        self._log("rollback", target, reason, {"removed": removed})
        return target

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

    def history(self) -> _Entries:
        """Registrations, promotions, rejections and rollbacks of this model, oldest first."""
        return [entry for entry in self._audit.read(what=_CHANGES) if entry.subject.startswith(f"{self._name}/")]

    def fetch(self, alias_or_version: str) -> LoadedModel:
        """Brings a version's content to this machine and checks it. A local registry is read in place.

        Raises:
            MissingInputError: There is no such alias or version, or its content is gone.
            IntegrityError: The content is not what was registered.
        """
        found = self._find(alias_or_version)
        tags = dict(found.tags)
        uri = self._client.get_model_version_download_uri(self._name, str(found.version))
        content = local_content(self._settings, uri, tags.get(TAG_DIGEST))
        if folder_digest(content) != tags.get(TAG_DIGEST):
            raise IntegrityError(
                f"The content of model version {found.version} in {content} is not what was registered. "
                "Do not serve it: roll back with `plumbline models rollback --reason ...`, or train again."
            )
        return LoadedModel(
            version=str(found.version),
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

    def _champion_before(self, version: str, without: set[str]) -> str | None:
        """The version that was promoted last before `version` was, and was not rolled back since."""
        versions = {found.version: found.tags for found in self.list()}
        limit = versions[version].get(TAG_PROMOTED_AT, "")
        earlier = [
            (tags[TAG_PROMOTED_AT], number)
            for number, tags in versions.items()
            if number not in without
            and TAG_ROLLED_BACK_AT not in tags
            and TAG_PROMOTED_AT in tags
            and tags[TAG_PROMOTED_AT] < limit
        ]
        return max(earlier)[1] if earlier else None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One change of aliases at a time on this machine; a server's alias writes are single statements."""
        with exclusive(paths.tracking_dir(self._settings) / "aliases.lock"):
            yield

    def _log(self, what: str, version: str, reason: str, numbers: Mapping[str, Any]) -> None:
        self._audit.append(what, subject=f"{self._name}/{version}", why=reason, numbers=numbers)


def _is_missing(error: MlflowException) -> bool:
    """Whether there is no such thing, in the words of the several stores; anything else is a registry that fails."""
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    return error.error_code in (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE))


def _if_file(path: Path) -> Path | None:
    return path if path.is_file() else None
