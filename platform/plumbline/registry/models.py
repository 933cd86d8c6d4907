"""The model registry: versions, the aliases that serving follows, and the content behind them.

Aliases: `champion` is served; `challenger` has passed training and waits for a decision; `previous` is what
`rollback` returns to; `canary` and `shadow` are being let in (`plumbline.registry.releases`). Everything else about
a version is in its tags.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from plumbline import paths
from plumbline.errors import DependencyError, IntegrityError, MissingInputError, UserError
from plumbline.locks import exclusive
from plumbline.registry.audit import AuditEntry, AuditLog
from plumbline.registry.content import CARD_FILE, MODEL_FOLDER, REFERENCE_FILE, local_content
from plumbline.registry.digest import folder_digest
from plumbline.registry.names import (
    CANARY,
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    SHADOW,
    TAG_AS_OF,
    TAG_DIGEST,
    TAG_FEATURE_DEFINITION,
    TAG_PARITY,
    TAG_PROMOTED_AT,
    TAG_REJECTED_AT,
    TAG_ROLLED_BACK_AT,
    TAG_SNAPSHOT,
    TAG_VERDICT,
)
from plumbline.registry.promotable import override_command, require_loadable, require_verdict, uncovered_because
from plumbline.registry.recorded import unrecorded_because
from plumbline.registry.tracking import Tracking
from plumbline.registry.versions import LoadedModel, ModelVersion, Versions
from plumbline.settings import Settings

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

_logger = logging.getLogger(__name__)

_Entries = list[AuditEntry]
_Sentences = list[str]

_ABOUT = "Serving follows the alias `champion`. Each version's page is its model card."

_CHANGES = frozenset({"register", "promote", "reject", "rollback"})


class ModelRegistry(Versions):
    """Versions and aliases of the model that the settings name, to read and to change."""

    def __init__(self, settings: Settings, tracking: Tracking | None = None) -> None:
        super().__init__(settings, tracking)
        self._audit = AuditLog(settings)

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
        self._log("register", version, reason, {"verdict": tags.get(TAG_VERDICT)})
        return version

    def point(self, alias: str, version: str | None) -> None:
        """Points an alias to a version that is there, or takes it away."""
        if version is not None:
            self._client.set_registered_model_alias(self._name, alias, version)
        elif self.version_of(alias) is not None:
            self._client.delete_registered_model_alias(self._name, alias)

    def challenge(self, version: str) -> None:
        """Points `challenger` to the version.

        Raises:
            MissingInputError: There is no such version.
        """
        self.get(version)
        self.point(CHALLENGER, version)

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
            version: Version number, or an alias of it.
            reason: Why, for the audit log.
            numbers: Figures behind the decision, for the audit log.
            override_gate: Promote although the gate rejected the version, or has never judged it.

        Raises:
            MissingInputError: There is no such version, it has no verdict and `override_gate` is not set, or it is
                not in the form that serving loads.
            UserError: Its verdict is not the one that was written down, and `override_gate` is not set.
            GateRefusedError: The gate rejected the version and `override_gate` is not set.
            IntegrityError: Its files are not what was registered.
        """
        found = self.get(version)
        require_loadable(self.fetch(version))  # first: no override helps against it
        if not override_gate:
            require_verdict(found)
            self._require_recorded(found)
        version, tags = found.version, found.tags
        with self.changing():
            champion = self.version_of(CHAMPION)
            self._point_previous(version, champion)
            self._stamp(version, TAG_PROMOTED_AT)
            self.remove_tags(version, [TAG_ROLLED_BACK_AT, TAG_REJECTED_AT])
            self.point(CHAMPION, version)
            for alias in (CHALLENGER, CANARY, SHADOW):
                if self.version_of(alias) == version:
                    self.point(alias, None)
        parity = {"parity": json.loads(tags[TAG_PARITY])} if TAG_PARITY in tags else {}
        about = {"before": champion, "override_gate": override_gate, **parity, **(numbers or {})}
        self._log("promote", version, reason, about)

    def reject(self, version: str, reason: str, *, numbers: Mapping[str, Any] | None = None) -> None:
        """Records that a version stays out; it loses the aliases `challenger` and `previous` if it has them.

        Raises:
            MissingInputError: There is no such version.
        """
        version = self.get(version).version
        for alias in (CHALLENGER, PREVIOUS):
            if self.version_of(alias) == version:
                self.point(alias, None)
        self._stamp(version, TAG_REJECTED_AT)
        self._log("reject", version, reason, numbers or {})

    def rollback(self, reason: str) -> str:
        """Makes the previous champion champion again, also where the champion was deleted or named by other means.

        `previous` then points to the champion before that one (versions that were rolled back are passed over),
        so that a second rollback goes further back and never returns to the version that was just removed.

        Returns:
            The version that is champion now.

        Raises:
            MissingInputError: There is no previous champion, or its files are not there as they were registered.
        """
        with self.changing():
            removed = self.version_of(CHAMPION)
            target = self._to_return_to(removed)
            if target is None:
                raise MissingInputError(
                    "There is no previous champion to return to. `plumbline models list` shows the versions; "
                    "promote one of them with `plumbline models promote VERSION --reason ...`."
                )
            try:
                require_loadable(self.fetch(target))
            except (MissingInputError, IntegrityError) as error:
                raise MissingInputError(
                    f"The champion before, version {target}, cannot be served: `plumbline models card {target}` says "
                    "why. Promote another with `plumbline models promote VERSION --reason ...`."
                ) from error
            if removed is not None:
                self._stamp(removed, TAG_ROLLED_BACK_AT)
            self.remove_tags(target, [TAG_ROLLED_BACK_AT, TAG_REJECTED_AT])
            if TAG_PROMOTED_AT not in self.get(target).tags:  # it had its alias from somebody else's hands
                self._stamp(target, TAG_PROMOTED_AT)
            self.point(CHAMPION, target)
            self.point(PREVIOUS, self._last_promoted({removed, target}, before=target))
        self._log("rollback", target, reason, {"removed": removed})
        return target

    def history(self) -> _Entries:
        """Registrations, promotions, rejections and rollbacks of this model, oldest first."""
        return [entry for entry in self._audit.read(what=_CHANGES) if entry.subject.startswith(f"{self._name}/")]

    def remarks(self, found: ModelVersion) -> _Sentences:
        """What somebody should know of a version before relying on its tags and aliases."""
        said = []
        if CHAMPION in found.aliases and (why := uncovered_because(found.tags)) is not None:
            said.append(f"It is the champion, and neither the gate nor a promotion covers that: {why}.")
        try:
            said += [sentence] if (sentence := unrecorded_because(self._audit, self._name, found)) else []
        except DependencyError as error:
            said.append(f"Its verdict could not be compared with the audit log: {error}")
        return said

    def _require_recorded(self, found: ModelVersion) -> None:
        try:
            why = unrecorded_because(self._audit, self._name, found)
        except DependencyError as error:  # a log that is away keeps nobody from promoting: see `ObjectEntries`
            _logger.warning(
                "The verdict of version %s could not be compared with the audit log: %s", found.version, error
            )
            return
        if why is not None:
            raise UserError(
                f"{why} Train a version with `plumbline pipeline run training`, or promote it nevertheless with "
                f"`{override_command(found.version)}`."
            )

    def _point_previous(self, version: str, champion: str | None) -> None:
        """To the champion so far, of which nobody has said that it may be served where it was named by other means."""
        if champion is not None and champion != version and uncovered_because(self.get(champion).tags) is None:
            self.point(PREVIOUS, champion)
        elif champion != version or self.version_of(PREVIOUS) == version:
            self.point(PREVIOUS, self._last_promoted({version, champion}))

    def _to_return_to(self, champion: str | None) -> str | None:
        """What a rollback makes the champion. `previous` says so only where the champion was promoted after it."""
        previous = self.version_of(PREVIOUS)
        if previous == champion:
            previous = None
        if previous is not None and champion is not None and TAG_PROMOTED_AT in self.get(champion).tags:
            return previous
        return self._last_promoted({champion}, before=champion) or previous

    def _last_promoted(self, without: set[str | None], before: str | None = None) -> str | None:
        """The version that was promoted last (before another was, if it was), and neither rolled back nor rejected."""
        versions = {found.version: found.tags for found in self.list()}
        limit = versions.get(before or "", {}).get(TAG_PROMOTED_AT)
        promoted = [
            (tags[TAG_PROMOTED_AT], number)
            for number, tags in versions.items()
            if number not in without
            and TAG_PROMOTED_AT in tags
            and uncovered_because(tags) is None
            and (limit is None or tags[TAG_PROMOTED_AT] < limit)
        ]
        return max(promoted)[1] if promoted else None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """One change of aliases at a time on this machine; a server's alias writes are single statements."""
        with exclusive(paths.tracking_dir(self._settings) / "aliases.lock"):
            yield

    def _stamp(self, version: str, tag: str) -> None:
        self.set_tags(version, {tag: datetime.now(UTC).isoformat()})

    def _log(self, what: str, version: str, reason: str, numbers: Mapping[str, Any]) -> None:
        self._audit.append(what, subject=f"{self._name}/{version}", why=reason, numbers=numbers)
