"""Drift policies: which columns are watched, how small a change is too small to matter, how rare false alarms are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plumbline.errors import MissingInputError, UserError
from plumbline.faults import explain

DEFAULT_POLICY = "default"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Strict):
    """Columns by how they are compared."""

    categorical: tuple[str, ...] = ()
    """Compared by the share of each value, and by the share of values that the reference never had."""

    numeric: tuple[str, ...] = ()
    """Compared by the share of rows in bins at the reference's quantiles and outside its range."""

    text: tuple[str, ...] = ()
    """Compared by the share of each frequent word, and by the share of words that the reference never had."""

    nulls: tuple[str, ...] = ()
    """Watched for their share of missing values."""


class Floors(_Strict):
    """Smallest changes that matter, beyond what windows of this size show by chance."""

    distribution: float = Field(default=0.08, ge=0, le=1)
    """Jensen-Shannon distance (natural logarithm, 0..0.83) of categories or bins."""

    text: float = Field(default=0.05, ge=0, le=1)
    """Jensen-Shannon distance of the frequent words."""

    null_share: float = Field(default=0.08, ge=0, le=1)
    """Change in the share of missing values."""

    unseen: float = Field(default=0.05, ge=0, le=1)
    """Share of values or words that the reference never had."""

    confidence: float = Field(default=0.05, ge=0, le=1)
    """Fall of the mean probability of the answer."""

    accuracy: float = Field(default=0.05, ge=0, le=1)
    """Fall of the accuracy on labels that have arrived."""


class DriftPolicy(_Strict):
    """What a monitor watches and when it raises an alert."""

    name: str
    """Name of the policy, shown in alerts."""

    false_alarm_rate: float = Field(default=0.01, gt=0, lt=0.5)
    """Share of clean windows that raise an alert, for all tests of the policy together."""

    resamples: int = Field(default=400, ge=50, le=5000)
    """Windows drawn from the reference to learn what chance and ordinary weeks do."""

    min_rows: int = Field(default=100, ge=20)
    """A window with fewer rows cannot be judged: the monitor says so instead of passing it."""

    min_values: int = Field(default=50, ge=10)
    """A test with fewer values in the window, or in the reference, is skipped and says so."""

    stratify_by: str | None = "board"
    """Column whose mix may change by itself (boards come and go): other columns are compared at equal mix."""

    max_stratum_weight: float = Field(default=3.0, ge=1)
    """A stratum counts at most this many times its share of the reference."""

    columns: Columns
    """Columns of the postings to watch."""

    predictions: bool = True
    """Watch the mix of answers and their confidence."""

    labels: bool = True
    """Watch the mix of labels and the accuracy, on the labels that have arrived."""

    floors: Floors = Field(default_factory=Floors)
    """Smallest changes that matter."""

    runbook: str = "docs/monitoring.md#an-alert-has-been-raised"
    """Where an alert sends its reader: a path below `monitoring.runbook_base_url`, or an address."""


def load_policy(name_or_path: str) -> DriftPolicy:
    """Loads a policy by the name of one that comes with the platform, or from a YAML file.

    Raises:
        MissingInputError: There is no such policy or file.
        UserError: A key is unknown (the nearest valid one is named) or a value is wrong.
    """
    try:
        content = yaml.safe_load(_read(name_or_path))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that the calendar lacks
        raise UserError(f"The drift policy {name_or_path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise UserError(f"The drift policy {name_or_path} is not a mapping of keys to values.")
    try:
        return DriftPolicy.model_validate(content)
    except ValidationError as error:
        raise UserError(f"The drift policy {name_or_path} cannot be used: {explain(error, DriftPolicy)}") from error


def policy_names() -> list[str]:
    """Names of the policies that come with the platform."""
    folder = resources.files("monitoring") / "policies"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _read(name_or_path: str) -> str:
    if name_or_path in policy_names():
        return (resources.files("monitoring") / "policies" / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        raise MissingInputError(
            f"There is no drift policy {name_or_path}: give a YAML file, or one of {', '.join(policy_names())}."
        )
    return path.read_text(encoding="utf-8")
