"""Models from the registry, seen through one alias."""

from __future__ import annotations

import os

from plumbline.model.protocol import load_model
from plumbline.registry.models import CHAMPION, TAG_DIGEST, ModelRegistry
from plumbline.registry.promotable import uncovered_because, what_covers
from plumbline.settings import Settings
from serving.engine.served_model import ServedModel, now


class RegistryModels:
    """The registry's `ModelSource`.

    Args:
        settings: The installation's settings.
        name: Name of the registered model: the default one, or one of `serving.models`.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        tracking, serving = settings.tracking, settings.serving
        _ask_briefly(tracking.timeout_seconds)
        self._alias = serving.model_alias if name == tracking.model_name else serving.models[name].alias
        self._where = "" if name == tracking.model_name else f"PLUMBLINE_TRACKING__MODEL_NAME={name} "
        self._runtime = settings.model.runtime
        self.registry = ModelRegistry(
            settings.model_copy(update={"tracking": tracking.model_copy(update={"model_name": name})})
        )

    def version(self) -> str | None:
        """Version that the alias names now. One read of the registry."""
        return self.registry.version_of(self._alias)

    def uncovered_because(self, version: str) -> str | None:
        """Why neither the gate nor a promotion covers a version, and what to do; None if one does."""
        tags = self.registry.get(version).tags
        why = uncovered_because(tags)
        if why is None:
            return None
        return (
            f"The alias {self._alias} of {self.registry.name} names version {version}, and neither the gate nor a "
            f"promotion covers that: {why}. `{self._where}plumbline models show {version}` describes "
            f"it. {what_covers(version, tags, self._where)}"
        )

    def gone_because(self, version: str) -> str:
        """What to say of the alias once it names no version any more."""
        what_to_do = (
            f"`{self._where}plumbline models rollback --reason ...` returns to the champion before, "
            f"`{self._where}plumbline models promote VERSION --reason ...` takes another version."
            if self._alias == CHAMPION
            else "Point it to a version again with MLflow's `set_registered_model_alias`."
        )
        return (
            f"The alias {self._alias} of {self.registry.name} names no version any more: version {version} was "
            f"deleted, or the alias was taken from it. A replica that starts now has no model. {what_to_do}"
        )

    def load(self, version: str) -> ServedModel:
        """Loads a version, its content checked against its digest.

        Raises:
            MissingInputError: Its files are gone.
            IntegrityError: Its files are not what was registered.
        """
        found = self.registry.fetch(version)
        return ServedModel(
            name=self.registry.name,
            alias=self._alias,
            version=found.version,
            digest=found.tags.get(TAG_DIGEST, ""),
            model=load_model(found.path, self._runtime),
            loaded_at=now(),
        )


def _ask_briefly(seconds: float) -> None:
    """MLflow's client asks a server that is away for four minutes before it says so. Here it is asked again anyway,
    and a version that was promoted meanwhile should not wait for the end of a pause."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(seconds)))
