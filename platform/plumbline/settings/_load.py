"""Composes the groups into one strict model and loads it from a YAML file and the environment."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from plumbline.errors import MissingInputError, SettingsError
from plumbline.settings.controller import ControllerSettings
from plumbline.settings.data import DataSettings
from plumbline.settings.features import FeatureSettings
from plumbline.settings.model import ModelSettings
from plumbline.settings.monitoring import MonitoringSettings
from plumbline.settings.pipelines import PipelineSettings
from plumbline.settings.serving import ServingSettings
from plumbline.settings.store import StoreSettings
from plumbline.settings.tracking import TrackingSettings

CONFIG_VARIABLE = "PLUMBLINE_CONFIG"


class Settings(BaseSettings):
    """All settings of one installation. Paths that are not set lie under `home`."""

    model_config = SettingsConfigDict(
        env_prefix="PLUMBLINE_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    profile: Literal["local", "cluster"] = "local"
    """`local` runs every part embedded on this machine; `cluster` expects the services of the chart."""

    home: Path = Path("build/home")
    """Folder that holds all local state: objects, tracking database, feature stores, logs."""

    store: StoreSettings = Field(default_factory=StoreSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    pipelines: PipelineSettings = Field(default_factory=PipelineSettings)
    serving: ServingSettings = Field(default_factory=ServingSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    controller: ControllerSettings = Field(default_factory=ControllerSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order: arguments, environment, secret files, then the YAML file."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings, file_secret_settings)
        config = os.environ.get(CONFIG_VARIABLE)
        if config:
            sources += (YamlConfigSettingsSource(settings_cls, yaml_file=Path(config)),)
        return sources


def load_settings(**overrides: Any) -> Settings:
    """Loads the settings, and makes `home` absolute.

    Raises:
        MissingInputError: `PLUMBLINE_CONFIG` names a file that is not there.
        SettingsError: A key is unknown (the nearest valid one is named) or a value is wrong.
    """
    config = os.environ.get(CONFIG_VARIABLE)
    if config and not Path(config).is_file():
        raise MissingInputError(f"{CONFIG_VARIABLE} names {config}, which is not a file. Correct it or unset it.")
    _refuse_unknown_variables()
    try:
        settings = Settings(**overrides)
    except yaml.YAMLError as error:
        raise SettingsError(f"{config} is not YAML: {error}") from error
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def config_path() -> Path | None:
    """The YAML file that `PLUMBLINE_CONFIG` names, if it names one."""
    config = os.environ.get(CONFIG_VARIABLE)
    return Path(config) if config else None


def _refuse_unknown_variables() -> None:
    """pydantic-settings ignores unknown top-level environment variables: a typo would be a silence."""
    known = {f"PLUMBLINE_{name.upper()}": field for name, field in Settings.model_fields.items()}
    for variable in os.environ:
        if not variable.startswith("PLUMBLINE_") or variable in _OTHER_VARIABLES:
            continue
        head = variable.split("__", 1)[0]
        field = known.get(head)
        nested = field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        if field is None or ("__" in variable) != nested:
            near = difflib.get_close_matches(variable, _variable_names(), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingsError(f"The environment variable {variable} is not a setting of Plumbline.{hint}")


_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "PLUMBLINE_TEST_DATA", "PLUMBLINE_RUN_ID"})


def _variable_names() -> list[str]:
    names: list[str] = []
    for name, field in Settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names += [f"PLUMBLINE_{name}__{inner}".upper() for inner in annotation.model_fields]
        else:
            names.append(f"PLUMBLINE_{name}".upper())
    return names


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        variable = "PLUMBLINE_" + path.replace(".", "__").upper()
        near = difflib.get_close_matches(variable, _variable_names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"The setting {path} does not exist.{hint}"
    return f"The setting {path} has a wrong value{_shown(path, first.get('input'))}: {first['msg']}."


_SECRET = re.compile(r"key|secret|password|token|credential", re.IGNORECASE)


def _shown(path: str, value: object) -> str:
    """The value in brackets; nothing of a group, which may hold a secret, nor of what may be one."""
    if _SECRET.search(path.rpartition(".")[2]) or not isinstance(value, str | int | float | None):
        return ""
    return f" ({value!r})"
