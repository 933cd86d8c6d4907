"""Last step: the model into the registry, its card beside it, and the alias where the verdict says so."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline import __version__
from plumbline.data.snapshot import Snapshot, SnapshotStore
from plumbline.model.class_names import read_class_names
from plumbline.registry.artifact import log_model
from plumbline.registry.audit import AuditLog
from plumbline.registry.card import CardFacts, write_card
from plumbline.registry.content import CARD_FILE, MODEL_FOLDER, REFERENCE_FILE
from plumbline.registry.datasets import log_dataset
from plumbline.registry.gate import GateVerdict
from plumbline.registry.models import TAG_AS_OF, TAG_PARITY, TAG_SNAPSHOT, TAG_VERDICT, ModelRegistry
from plumbline.registry.reference import EVALUATION, PART
from plumbline.registry.runs import parent_run
from plumbline.registry.steps.context import Step, open_step
from plumbline.registry.steps.evaluate import SUMMARY, calibration_error
from plumbline.registry.steps.gate import VERDICT, read_verdict
from plumbline.registry.steps.split import REPORT
from plumbline.registry.submissions import RESULT
from plumbline.storage import open_store

_LONGEST_TAG = 4000


def register(
    *,
    run_id: str,
    snapshot_id: str,
    as_of: str,
    reason: str,
    overrides: str,
    train_set: str,
    model: str,
    evaluation: str,
    verdict: str,
) -> str:
    """Registers the model, promotes it when the gate says so, and closes the pipeline run.

    The version appears whole, with its digest and verdict, before any alias points to it.

    Args:
        run_id: MLflow run of the pipeline run.
        snapshot_id: Whole id of the snapshot.
        as_of: ISO 8601 instant.
        reason: Why this run was started.
        overrides: JSON object of settings for this run.
        train_set: Folder with the training part and the split's report.
        model: Folder with the model.
        evaluation: Folder with the evaluation's results.
        verdict: Folder with the gate's verdict.

    Returns:
        The result of the pipeline run, a JSON object.
    """
    with open_step("register", run_id=run_id, overrides=overrides) as step:
        judged = read_verdict(Path(verdict))
        summary = json.loads((Path(evaluation) / SUMMARY).read_text(encoding="utf-8"))
        report = json.loads((Path(train_set) / REPORT).read_text(encoding="utf-8"))
        snapshot = SnapshotStore(open_store(step.settings)).get(snapshot_id)
        names = read_class_names(Path(model) / MODEL_FOLDER)
        card = _card(step, run_id, snapshot, as_of, names, report, summary, judged)
        parent = parent_run(step.run.tracking, run_id)
        reference = pd.read_parquet(Path(evaluation) / REFERENCE_FILE)
        log_dataset(parent, reference[reference[PART] == EVALUATION], snapshot, as_of, "evaluation")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / CARD_FILE
            path.write_text(card, encoding="utf-8")
            parent.file(path)
            logged = log_model(
                parent,
                model=Path(model) / MODEL_FOLDER,
                reference=Path(evaluation) / REFERENCE_FILE,
                card=path,
                name=f"{step.settings.tracking.model_name}-{as_of[:10]}",
                metadata={"snapshot_id": snapshot_id, "as_of": as_of, "class_names": names},
            )
        registry = ModelRegistry(step.settings, step.run.tracking)
        version = registry.register(
            run_id,
            model_id=logged.model_id,
            artifact_uri=logged.artifact_uri,
            description=f"{_headline(summary, judged)}\n\n{card}",
            reason=reason,
            tags=_tags(snapshot_id, as_of, summary, judged),
        )
        promoted = _apply(registry, version, judged, step)
        parent.metrics(_figures(summary, judged))
        parent.json(judged.__dict__, VERDICT)
        parent.tag({"plumbline.model_version": version, TAG_VERDICT: judged.verdict})
        result = {
            "run_id": run_id,
            "model_version": version,
            "snapshot_id": snapshot_id,
            "as_of": as_of,
            "rows": report["rows"],
            "metrics": summary,
            "champion_metrics": judged.numbers.get("champion"),
            "gate": judged.__dict__,
            "promoted": promoted,
        }
        parent.json(result, RESULT)
        parent.came_to(
            f"v{version} {_outcome(judged, promoted=promoted)}",
            "\n\n".join([_headline(summary, judged), *judged.reasons, f"Why this run was started: {reason}"]),
        )
    parent.end()
    return json.dumps(result, default=float)


def _apply(registry: ModelRegistry, version: str, verdict: GateVerdict, step: Step) -> bool:
    sentence = " ".join(verdict.reasons)
    if verdict.verdict == "reject":
        registry.reject(version, sentence, numbers=verdict.numbers)
        return False
    registry.challenge(version)
    if verdict.verdict == "review":
        AuditLog(step.settings).append(
            "review", subject=f"{registry.name}/{version}", why=sentence, numbers=verdict.numbers
        )
        return False
    if step.settings.pipelines.require_approval:
        return False
    registry.promote(version, sentence, numbers=verdict.numbers)
    return True


def _tags(snapshot_id: str, as_of: str, summary: Mapping[str, Any], verdict: GateVerdict) -> dict[str, str]:
    return {
        TAG_SNAPSHOT: snapshot_id,
        TAG_AS_OF: as_of,
        TAG_VERDICT: verdict.verdict,
        "plumbline.gate.reasons": " ".join(verdict.reasons)[:_LONGEST_TAG],
        TAG_PARITY: json.dumps(verdict.numbers["parity"]),
        "plumbline.accuracy": f"{summary['accuracy']:.4f}",
        "plumbline.macro_f1": f"{summary['macro_f1']:.4f}",
        "plumbline.n": str(summary["n"]),
        "plumbline.code_version": __version__,
    }


def _outcome(verdict: GateVerdict, *, promoted: bool) -> str:
    if promoted:
        return "promoted"
    return {"promote": "passed", "reject": "rejected"}.get(verdict.verdict, "waits for a person")


def _headline(summary: Mapping[str, Any], verdict: GateVerdict) -> str:
    """A version in one sentence: what lists of versions show."""
    return (
        f"Accuracy {summary['accuracy']:.3f}, macro-F1 {summary['macro_f1']:.3f} on {summary['n']:,} later postings; "
        f"gate: {verdict.verdict}."
    )


def _figures(summary: Mapping[str, Any], verdict: GateVerdict) -> dict[str, Any]:
    """Metrics of the pipeline's run: what a list of runs is sorted and compared by."""
    gain = verdict.numbers.get("difference", {}).get("accuracy", {})
    return {
        "accuracy": summary["accuracy"],
        "macro_f1": summary["macro_f1"],
        "evaluation_rows": summary["n"],
        "calibration_error": calibration_error(summary),
        "processor_ms": verdict.numbers["processor_ms"],
        **{f"accuracy_gain.{name}": value for name, value in gain.items()},
    }


def _card(
    step: Step,
    run_id: str,
    snapshot: Snapshot,
    as_of: str,
    names: Mapping[str, str],
    report: Mapping[str, Any],
    summary: Mapping[str, Any],
    verdict: GateVerdict,
) -> str:
    return write_card(
        CardFacts(
            model_name=step.settings.tracking.model_name,
            snapshot_id=snapshot.id,
            as_of=as_of,
            source=snapshot.source,
            class_names=names,
            code_version=__version__,
            feature_service=step.settings.features.service,
            split=report,
            summary=summary,
            verdict=verdict,
            run_id=run_id,
        )
    )
