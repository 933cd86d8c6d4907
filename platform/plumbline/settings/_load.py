"""Composes the groups into one strict model and loads it from a YAML file and the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnparsableError

from plumbline.errors import MissingInputError, SettingsError
from plumbline.settings._explain import PREFIX, SET, Source, explain, unknown_variable, variables
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
        if (file := config_path()) is not None:
            sources += (InitSettingsSource(settings_cls, init_kwargs=_read(file)),)
        return sources


def load_settings(**overrides: Any) -> Settings:
    """Loads the settings, and makes `home` absolute.

    Args:
        overrides: Values that win over all others; a message calls them `--set`, which is where users give them.

    Raises:
        MissingInputError: `PLUMBLINE_CONFIG` names a file that is not there.
        SettingsError: The file cannot be read, a key is unknown (the nearest valid one is named), or a value is wrong.
    """
    file = config_path()
    content = {} if file is None else _read(file)
    names = [name for name in os.environ if name.upper().startswith(PREFIX) and name not in _OTHER_VARIABLES]
    for name in names:
        if problem := unknown_variable(Settings, name):
            raise SettingsError(problem)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        sources = [Source(SET, overrides), *variables(names), Source(str(file), content)]
        raise SettingsError(explain(error, Settings, sources)) from error
    except UnparsableError as error:
        raise SettingsError(_not_json(error, names)) from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def config_path() -> Path | None:
    """The YAML file that `PLUMBLINE_CONFIG` names, if it names one."""
    config = os.environ.get(CONFIG_VARIABLE)
    return Path(config) if config else None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError(
            f"{CONFIG_VARIABLE} names {file}, which is not there. Correct {CONFIG_VARIABLE} or unset it."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{CONFIG_VARIABLE} names {file}, which cannot be read ({error.strerror}). Name a YAML file that can be."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that the calendar lacks
        raise SettingsError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError(f"{file} must hold settings by name, as in `serving: {{port: 8000}}`.")
    return content


_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "PLUMBLINE_TEST_DATA", "PLUMBLINE_RUN_ID"})


def _not_json(error: UnparsableError, names: list[str]) -> str:
    """pydantic-settings says which group it could not parse, but not by which variable."""
    text = getattr(error.__cause__, "doc", None)
    name = next((name for name in names if os.environ[name] == text), None)
    which = "An environment variable" if name is None else f"The environment variable {name}"
    return f"{which} sets a whole group or list, and must hold JSON, as {{}} or [] is: {error.__cause__ or error}."
