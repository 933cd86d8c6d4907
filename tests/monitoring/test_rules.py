"""The alert rules: each fires when it should, does not when it should not, and leads to a page that says what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from real_prometheus import Exposed, prometheus, query, served, wait_until
from rule_cases import CASES, NAMESPACE, Case

from monitoring.rules.files import all_alerts, rule_groups, write_rules
from monitoring.rules.model import Alert, Group
from monitoring.rules.parameters import Parameters
from plumbline.settings import Settings

RunPlumbline = Callable[..., subprocess.CompletedProcess[str]]
REPOSITORY = Path(__file__).resolve().parent.parent.parent
CHART_RULES = REPOSITORY / "helm" / "plumbline" / "files" / "rules"


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus' own checker."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not there; Debian's package `prometheus` brings it")
    return found


@pytest.fixture
def rules(tmp_path: Path) -> list[Path]:
    """All rule files of an installation."""
    return write_rules(tmp_path / "rules", Parameters(namespace=NAMESPACE))


def test_prometheus_takes_the_rules(promtool: str, rules: list[Path]) -> None:
    done = subprocess.run([promtool, "check", "rules", *map(str, rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(rules)


@pytest.mark.parametrize("file", sorted(rule_groups()))
def test_every_alert_fires_when_it_should_and_only_then(file: str, promtool: str, tmp_path: Path) -> None:
    names = {rule.name for group in rule_groups()[file] for rule in group.rules}
    cases = [case for case in CASES if case.alert in names]
    assert cases
    for long in (False, True):
        done = _promtool_test(promtool, tmp_path, [case for case in cases if case.long is long], file)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_would_notice_an_alert_that_does_not_fire(promtool: str, tmp_path: Path) -> None:
    quiet = next(case for case in CASES if case.alert == "TargetDown" and not case.fires)
    wrong = Case(quiet.alert, quiet.series, quiet.minutes, ({"severity": "warning"},))
    assert _promtool_test(promtool, tmp_path, [wrong], "platform.yaml").returncode != 0


def test_every_alert_has_cases_of_both_kinds() -> None:
    names = {alert.name for alert in all_alerts()}
    assert names == {case.alert for case in CASES if case.fires} == {case.alert for case in CASES if not case.fires}


def test_every_alert_leads_to_a_section_that_exists() -> None:
    page = (REPOSITORY / "docs" / "observability.md").read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    assert {alert.anchor for alert in all_alerts()} <= headings


def test_no_rule_takes_the_name_of_an_alert_that_the_monitors_send() -> None:
    assert not {alert.name for alert in all_alerts()} & {"PostingDrift", "ModelQualityDrop", "MonitorFailed"}


def test_names_are_unique_where_they_must_be() -> None:
    groups = [group for part in rule_groups().values() for group in part]
    assert len({group.name for group in groups}) == len(groups)
    alerts = [(rule.name, rule.severity) for group in groups for rule in group.rules if isinstance(rule, Alert)]
    assert len(set(alerts)) == len(alerts)


def test_the_same_input_writes_the_same_files(tmp_path: Path) -> None:
    first = {path.name: path.read_text() for path in write_rules(tmp_path, Parameters())}
    assert {path.name: path.read_text() for path in write_rules(tmp_path, Parameters())} == first
    assert set(first) == {*rule_groups(), "parameters.yaml"}


def test_the_charts_rules_are_the_generated_ones(tmp_path: Path) -> None:
    generated = {path.name: path.read_text() for path in write_rules(tmp_path, None)}
    assert {path.name: path.read_text() for path in CHART_RULES.glob("*")} == generated, (
        "Run: plumbline monitor rules --without-parameters --out helm/plumbline/files/rules"
    )


@pytest.mark.parametrize(
    "wrong", [{"latency_objective": 0.9}, {"availability_objective": 1.0}, {"components": ["mlflow"]}, {"slo": 1}]
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Parameters(**wrong)


def test_an_objective_of_another_installation_is_used(promtool: str, tmp_path: Path) -> None:
    # 20% late burns the budget of 5% only four times as fast as it may.
    case = next(each for each in CASES if each.alert == "ServingLatencyBudgetBurning" and each.fires)
    warned = Case(case.alert, case.series, case.minutes, ({"severity": "warning", "slo": "latency"},))
    done = _promtool_test(promtool, tmp_path, [warned], "objectives.yaml", latency_objective=0.95)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_writes_what_the_chart_carries(run_plumbline: RunPlumbline, tmp_path: Path) -> None:
    done = run_plumbline("monitor", "rules", "--without-parameters", "--out", str(tmp_path / "a" / "b"), "--json")
    assert done.returncode == 0, done.stderr
    assert {Path(row["file"]).name for row in json.loads(done.stdout)["rows"]} == set(rule_groups())
    chart = {path.name: path.read_text() for path in CHART_RULES.glob("*")}
    assert {path.name: path.read_text() for path in (tmp_path / "a" / "b").glob("*")} == chart


def test_on_one_machine_nothing_fires_while_all_is_up(
    run_plumbline: RunPlumbline, tmp_path: Path, settings: Settings, promtool: str
) -> None:
    """A real Prometheus with the configuration as written, only faster and without itself, whose port is another."""
    pages = Exposed(settings, tmp_path).pages()
    with (
        served(lambda: {"metrics": pages["serving"]}) as serving,
        served(lambda: {"metrics": pages["controller"]}) as controller,
        served(lambda: {"metrics": pages["exporter"]}) as exporter,
    ):
        ports = {
            "PLUMBLINE_SERVING__PORT": str(serving),
            "PLUMBLINE_CONTROLLER__PORT": str(controller),
            "PLUMBLINE_MONITORING__EXPORTER_PORT": str(exporter),
            "PLUMBLINE_MONITORING__RUNBOOK_BASE_URL": "https://wiki.example/",
        }
        folder = tmp_path / "rules"
        done = run_plumbline("monitor", "rules", "--out", str(folder), "--json", env=ports)
        assert done.returncode == 0, done.stderr
        command = [promtool, "check", "config", str(folder / "prometheus.yml")]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        config = yaml.safe_load((folder / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        del config["scrape_configs"][0]
        with prometheus(folder, config) as url:
            wait_until(lambda: len(query(url, "up == 1")) == 3 and bool(query(url, "plumbline:component:expected")))
            wait_until(lambda: query(url, "ALERTS") == [])  # pending ones are among them
    assert "runbook_url: https://wiki.example/docs/observability.md#" in (folder / "serving.yaml").read_text()


def test_on_one_machine_what_is_away_is_told(run_plumbline: RunPlumbline, tmp_path: Path, promtool: str) -> None:
    done = run_plumbline("monitor", "rules", "--out", str(tmp_path / "rules"))
    assert done.returncode == 0, done.stderr
    down = (("Serving", "critical"), ("Controller", "critical"), ("Exporter", "warning"))
    test = {
        "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
        "eval_time": "10m",
        "exp_samples": [
            {"labels": f'{{alertname="{name}Down", severity="{severity}"}}', "value": 1} for name, severity in down
        ],
    }
    series = [{"series": 'up{job="plumbline-prometheus"}', "values": "1x20"}]
    tests = {
        "rule_files": [str(path) for path in (tmp_path / "rules").glob("*.yaml")],
        "tests": [{"input_series": series, "promql_expr_test": [test]}],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_says_which_option_is_wrong(run_plumbline: RunPlumbline, tmp_path: Path) -> None:
    done = run_plumbline("monitor", "rules", "--latency-objective", "0.5", "--out", str(tmp_path / "rules"))
    assert done.returncode == 2
    assert "--latency-objective has a wrong value (0.5): it should be greater than or equal to 0.95." in done.stderr
    assert not (tmp_path / "rules").exists()


def test_groups_keep_their_interval() -> None:
    group = Group("g", [], interval="2m")
    assert group.to_dict() == {"name": "g", "interval": "2m", "rules": []}


def _promtool_test(
    promtool: str, folder: Path, cases: list[Case], file: str, **parameters: Any
) -> subprocess.CompletedProcess[str]:
    written = write_rules(folder / "rules", Parameters(namespace=NAMESPACE, **parameters))
    content = {
        "rule_files": [str(path) for path in written if path.name in (file, "parameters.yaml")],
        "evaluation_interval": "4m" if any(case.long for case in cases) else "1m",
        "tests": [_as_test(number, case) for number, case in enumerate(cases)],
    }
    tests = folder / "tests.yaml"
    tests.write_text(yaml.safe_dump(content), encoding="utf-8")
    return subprocess.run([promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False)


def _as_test(number: int, case: Case) -> dict[str, Any]:
    return {
        "name": f"{number}: {case.alert}",
        "interval": "5m" if case.long else "1m",
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}',
                "eval_time": f"{case.minutes}m",
                "exp_samples": [{"labels": _labels(case.alert, labels), "value": 1} for labels in case.fires],
            }
        ],
    }


def _labels(alert: str, labels: dict[str, str]) -> str:
    full = {"alertname": alert, "alertstate": "firing", "namespace": NAMESPACE, **labels}
    return "ALERTS{" + ",".join(f'{name}="{value}"' for name, value in full.items()) + "}"
