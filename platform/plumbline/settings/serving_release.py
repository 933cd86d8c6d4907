"""How a new version is let in: canary, shadow, and what takes it out again."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReleaseSettings(BaseModel):
    """How a new version is let in: canary, shadow, and what takes it out again.

    A release is judged by the settings that it was started with: they are kept with it in the registry.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(default=0.05, ge=0, le=1)
    """Share of the clients that a canary gets when it starts."""

    alpha: float = Field(default=0.01, gt=0, lt=1)
    """Chance that a canary which does as well as the champion is rolled back by what replicas measure, over the whole
    release, however long it lasts, all replicas and all their tests together."""

    judges: int = Field(default=1, ge=1)
    """Replicas that judge at once: `alpha` is divided among them. Set it to the most that may run."""

    error_tolerance: float = Field(default=0.005, ge=0, lt=1)
    """By how much the canary's share of errors may exceed the champion's."""

    budget_tolerance: float = Field(default=0.02, ge=0, lt=1)
    """By how much the canary's share of answers later than the budget may exceed the champion's."""

    guard_errors: int = Field(default=8, ge=2)
    """So many errors of the canary in a row, and none of the champion's meanwhile, end the release whatever the tests
    say: they need the champion's traffic beside the canary's, this does not."""

    quality_alpha: float = Field(default=0.05, gt=0, lt=1)
    """Chance of a wrong verdict by labels, for each of the two: worse, and not worse."""

    quality_tolerance: float = Field(default=0.02, ge=0, lt=1)
    """By how much the new version's share of wrong answers may exceed the champion's."""

    min_labels: int = Field(default=100, ge=1)
    """Labelled answers of the new version below which labels decide nothing."""

    min_requests: int = Field(default=500, ge=1)
    """Logged answers of the new version below which it is not promoted."""

    min_seconds: float = Field(default=600.0, ge=0)
    """Age of the release below which it is not promoted."""

    label_wait_seconds: float = Field(default=0.0, ge=0)
    """Age of the release up to which a verdict by labels is waited for once the two minima are met. After it, a version
    that has broken no objective is promoted without one, and the verdict says so."""
