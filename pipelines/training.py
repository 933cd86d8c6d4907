"""The training pipeline: one definition for the local runner and for a cluster."""

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from pipelines import components
from pipelines.containers import component, configure_tasks
from plumbline.settings import Settings

NAME = "training"


def training_pipeline(settings: Settings) -> BaseComponent:
    """Builds the pipeline with the components' image and the configuration of the settings.

    Every decision is made inside a component: the local runner runs all branches of a condition.
    """
    image = settings.pipelines.image
    validate = component(components.validate, image)
    build_training_set = component(components.build_training_set, image)
    split = component(components.split, image)
    train = component(components.train, image)
    evaluate = component(components.evaluate, image)
    gate = component(components.gate, image)
    register = component(components.register, image)

    @dsl.pipeline(  # type: ignore[untyped-decorator]
        name=NAME, description="Trains a posting classifier as of an instant, and promotes it if it is better."
    )
    def training(
        snapshot: str = "latest",
        as_of: str = "",
        reason: str = "Started by hand.",
        overrides: str = "{}",
        submission: str = "",
    ) -> str:
        validated = validate(snapshot=snapshot, as_of=as_of, reason=reason, overrides=overrides, submission=submission)
        common = {"run_id": validated.outputs["run_id"], "overrides": overrides}
        as_of_then = validated.outputs["as_of"]
        of_snapshot = {"snapshot_id": validated.outputs["snapshot_id"], "as_of": as_of_then}
        built = build_training_set(**common, **of_snapshot)
        parts = split(**common, as_of=as_of_then, training_set=built.outputs["training_set"])
        trained = train(
            **common,
            **of_snapshot,
            train_set=parts.outputs["train_set"],
            calibration_set=parts.outputs["calibration_set"],
        )
        evaluated = evaluate(
            **common,
            calibration_set=parts.outputs["calibration_set"],
            evaluation_set=parts.outputs["evaluation_set"],
            model=trained.outputs["model"],
        )
        judged = gate(**common, evaluation=evaluated.outputs["evaluation"], model=trained.outputs["model"])
        registered = register(
            **common,
            **of_snapshot,
            reason=reason,
            train_set=parts.outputs["train_set"],
            model=trained.outputs["model"],
            evaluation=evaluated.outputs["evaluation"],
            verdict=judged.outputs["verdict"],
        )
        configure_tasks((validated, built, parts, trained, evaluated, judged, registered), settings)
        return registered.output  # type: ignore[no-any-return]  # KFP makes a channel of it

    return training
