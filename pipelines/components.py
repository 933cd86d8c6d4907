"""The components of the pipelines: each calls one function of Plumbline and hands files on, nothing more.

KFP copies each function's source into the compiled pipeline, reads its annotations as objects (so this module
must not postpone their evaluation), and runs it where only Plumbline is installed: imports are inside.
"""

from typing import NamedTuple

from kfp.dsl import Dataset, Input, Metrics, Model, Output


# KFP reads several outputs from this form alone; type checkers do not take it.
def validate(
    snapshot: str,
    as_of: str,
    reason: str,
    overrides: str,
    submission: str,
) -> NamedTuple("Validated", [("run_id", str), ("snapshot_id", str), ("as_of", str)]):  # type: ignore[valid-type]
    """Opens the run and refuses what cannot end well."""
    from plumbline.registry.steps.validate import validate as step

    done = step(snapshot=snapshot, as_of=as_of, reason=reason, overrides=overrides, submission=submission)
    return (done.run_id, done.snapshot_id, done.as_of)


def build_training_set(
    run_id: str, snapshot_id: str, as_of: str, overrides: str, training_set: Output[Dataset]
) -> None:
    """Joins features to labelled postings, each as of its own time."""
    from plumbline.registry.steps.training_set import build_training_set as step

    training_set.metadata["rows"] = step(
        run_id=run_id, snapshot_id=snapshot_id, as_of=as_of, overrides=overrides, folder=training_set.path
    )


def split(
    run_id: str,
    as_of: str,
    overrides: str,
    training_set: Input[Dataset],
    train_set: Output[Dataset],
    calibration_set: Output[Dataset],
    evaluation_set: Output[Dataset],
) -> None:
    """Splits by time and by near-duplicate group."""
    from plumbline.registry.steps.split import split as step

    rows = step(
        run_id=run_id,
        as_of=as_of,
        overrides=overrides,
        training_set=training_set.path,
        train=train_set.path,
        calibration=calibration_set.path,
        evaluation=evaluation_set.path,
    )
    train_set.metadata["rows"] = rows.train
    calibration_set.metadata["rows"] = rows.calibration
    evaluation_set.metadata["rows"] = rows.evaluation


def train(
    run_id: str,
    snapshot_id: str,
    as_of: str,
    overrides: str,
    train_set: Input[Dataset],
    calibration_set: Input[Dataset],
    model: Output[Model],
) -> None:
    """Trains and calibrates the classifier."""
    from plumbline.registry.steps.train import train as step

    step(
        run_id=run_id,
        snapshot_id=snapshot_id,
        as_of=as_of,
        overrides=overrides,
        train_set=train_set.path,
        calibration_set=calibration_set.path,
        model=model.path,
    )


def evaluate(
    run_id: str,
    overrides: str,
    calibration_set: Input[Dataset],
    evaluation_set: Input[Dataset],
    model: Input[Model],
    evaluation: Output[Dataset],
    metrics: Output[Metrics],
) -> None:
    """Scores the model on rows that it has not seen."""
    from plumbline.registry.steps.evaluate import evaluate as step

    figures = step(
        run_id=run_id,
        overrides=overrides,
        calibration_set=calibration_set.path,
        evaluation_set=evaluation_set.path,
        model=model.path,
        folder=evaluation.path,
    )
    for name, value in figures.items():
        metrics.log_metric(name, value)


def gate(
    run_id: str, overrides: str, evaluation: Input[Dataset], model: Input[Model], verdict: Output[Dataset]
) -> None:
    """Decides between the new model and the champion."""
    from plumbline.registry.steps.gate import gate as step

    step(run_id=run_id, overrides=overrides, evaluation=evaluation.path, model=model.path, folder=verdict.path)


def register(
    run_id: str,
    snapshot_id: str,
    as_of: str,
    reason: str,
    overrides: str,
    train_set: Input[Dataset],
    model: Input[Model],
    evaluation: Input[Dataset],
    verdict: Input[Dataset],
) -> str:
    """Registers the model, and promotes it when the verdict says so; returns the run's result as JSON."""
    from plumbline.registry.steps.register import register as step

    return step(
        run_id=run_id,
        snapshot_id=snapshot_id,
        as_of=as_of,
        reason=reason,
        overrides=overrides,
        train_set=train_set.path,
        model=model.path,
        evaluation=evaluation.path,
        verdict=verdict.path,
    )
