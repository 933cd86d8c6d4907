"""What a version must have before it may be served: the gate's verdict, and files in the form that serving loads."""

from __future__ import annotations

from collections.abc import Mapping

from plumbline.errors import GateRefusedError, MissingInputError
from plumbline.registry.names import TAG_DIGEST, TAG_PROMOTED_AT, TAG_REJECTED_AT, TAG_ROLLED_BACK_AT, TAG_VERDICT
from plumbline.registry.versions import LoadedModel, ModelVersion

_FOR = ("promote", "review")
"""Verdicts that let a person promote; only the first lets the pipeline."""


def require_verdict(found: ModelVersion) -> None:
    """Refuses a version that the gate has not let through: no verdict is no.

    Raises:
        GateRefusedError: The gate rejected it.
        MissingInputError: The gate has not judged it.
    """
    version, verdict = found.version, found.tags.get(TAG_VERDICT)
    if verdict == "reject":
        raise GateRefusedError(
            f"The gate rejected version {version} (`plumbline models show {version}` says why). "
            f"Train another, or promote it nevertheless with `{override_command(version)}`."
        )
    if verdict not in _FOR:
        raise MissingInputError(
            f"Version {version} has no verdict of the gate (tag {TAG_VERDICT}): it has not been judged. Train one with "
            f"`plumbline pipeline run training`, or promote it nevertheless with `{override_command(version)}`."
        )


def uncovered_because(tags: Mapping[str, str]) -> str | None:
    """Why nobody has said that a version may be served; None if somebody has: the gate, or who promoted it.

    Promotion and rollback write a tag beside their entry in the audit log, before they move an alias. What gives
    an alias by other means, such as MLflow's pages, writes neither.

    Args:
        tags: The version's.
    """
    if TAG_ROLLED_BACK_AT in tags:
        return "it was rolled back"
    if TAG_REJECTED_AT in tags:
        return "it was rejected"
    verdict = tags.get(TAG_VERDICT)
    if TAG_PROMOTED_AT in tags or verdict == "promote":
        return None
    return "it has no verdict of the gate" if verdict is None else f"the gate's verdict on it is `{verdict}`"


def what_covers(version: str, tags: Mapping[str, str], where: str = "") -> str:
    """What to do about a version that nothing covers, as a sentence.

    Args:
        version: The version.
        tags: Its tags.
        where: Settings before a command, such as `PLUMBLINE_TRACKING__MODEL_NAME=name `.
    """
    if TAG_DIGEST not in tags:
        return (
            f"It has no tag {TAG_DIGEST}, so that nothing can cover it: `{where}plumbline models rollback --reason "
            "...` returns to the champion before, `plumbline pipeline run training` trains another version."
        )
    return f"`{where}{promote_command(version, tags)}` covers it, if it is in the form that serving loads."


def promote_command(version: str, tags: Mapping[str, str]) -> str:
    """The command by which a person promotes a version, with an override where it needs one."""
    return (
        f"plumbline models promote {version} --reason ..."
        if tags.get(TAG_VERDICT) in _FOR
        else override_command(version)
    )


def require_loadable(loaded: LoadedModel) -> None:
    """Refuses a folder that names no class to load it with.

    Raises:
        MissingInputError: It has no `config.json`.
        IntegrityError: That is not JSON.
    """
    from plumbline.model.protocol import class_path_of

    class_path_of(loaded.path)


def override_command(version: str) -> str:
    """The command by which a person promotes a version that the gate is not for."""
    return f"plumbline models promote {version} --override-gate --reason ..."
