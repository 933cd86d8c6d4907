"""All rule files."""

from __future__ import annotations

from pathlib import Path

from monitoring.rules.loop import loop_groups
from monitoring.rules.model import Alert, Group, dump
from monitoring.rules.monitors import monitors_groups
from monitoring.rules.objectives import objectives_groups
from monitoring.rules.parameters import Parameters, parameters_group
from monitoring.rules.platform import platform_groups
from monitoring.rules.serving import serving_groups

PARAMETERS_FILE = "parameters.yaml"


def rule_groups() -> dict[str, list[Group]]:
    """Groups by file, without the parameters: the same for every installation."""
    return {
        "objectives.yaml": objectives_groups(),
        "serving.yaml": serving_groups(),
        "monitors.yaml": monitors_groups(),
        "loop.yaml": loop_groups(),
        "platform.yaml": platform_groups(),
    }


def all_alerts() -> list[Alert]:
    """Every alert, in the order of the files."""
    groups = [group for part in rule_groups().values() for group in part]
    return [rule for group in groups for rule in group.rules if isinstance(rule, Alert)]


def rule_files(parameters: Parameters | None, runbooks: str = "") -> dict[str, str]:
    """Text by file name; the same input gives the same text.

    Args:
        parameters: What differs between installations; None leaves them out, as the chart writes its own.
        runbooks: Address before `docs/...`.
    """
    content = {name: dump(groups, runbooks) for name, groups in rule_groups().items()}
    if parameters is not None:
        content[PARAMETERS_FILE] = dump([parameters_group(parameters)], runbooks)
    return content


def write_rules(folder: Path, parameters: Parameters | None, runbooks: str = "") -> list[Path]:
    """Writes the rule files into a folder, made if it is not there; other files in it are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    content = rule_files(parameters, runbooks)
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in content]
