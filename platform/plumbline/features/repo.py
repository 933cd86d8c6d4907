"""The package with the feature definitions and their computation: the one that `features.repo_module` names.

It stands above this package, and may be anyone's; whoever needs it comes here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

import pandas as pd

from plumbline.errors import SettingsError
from plumbline.features.views import BuiltViews
from plumbline.settings import Settings


class Apply(Protocol):
    """`definitions.apply` of the package."""

    def __call__(self, settings: Settings) -> dict[str, int]:
        """Writes the definitions to the registry; gives how many objects of each kind."""
        ...


class BuildViews(Protocol):
    """`build.build_views` of the package."""

    def __call__(
        self, settings: Settings, postings: pd.DataFrame, *, snapshot_id: str, until: datetime | None = None
    ) -> BuiltViews:
        """Computes the batch views, and writes them with `plumbline.features.views_writer.write_views`."""
        ...


@dataclass(frozen=True)
class FeatureRepo:
    """What the package does."""

    apply: Apply
    build_views: BuildViews


def feature_repo(settings: Settings) -> FeatureRepo:
    """The functions of the package that the settings name.

    Raises:
        SettingsError: There is no such package, it lacks one of the two, or it cannot be imported.
        ModuleNotFoundError: A library that the package needs is not installed.
    """
    return FeatureRepo(
        apply=cast(Apply, _member(settings, "definitions", "apply")),
        build_views=cast(BuildViews, _member(settings, "build", "build_views")),
    )


def _member(settings: Settings, module: str, name: str) -> Any:
    package = settings.features.repo_module
    path = f"{package}.{module}"
    needed = (
        "A package of your own needs `definitions.apply(settings)` and "
        "`build.build_views(settings, postings, snapshot_id=..., until=...)`, and must be installed."
    )
    try:
        found = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise  # a library of the package's: which one, and how to install it, is another sentence
        raise SettingsError(
            f"features.repo_module is {package}, and there is no module {error.name}. {needed}"
        ) from error
    except Exception as error:  # a package of anyone's may raise anything
        raise SettingsError(f"features.repo_module is {package}, and {path} cannot be imported: {error}.") from error
    if not hasattr(found, name):
        raise SettingsError(f"features.repo_module is {package}, and {path} has no `{name}`. {needed}")
    return getattr(found, name)
