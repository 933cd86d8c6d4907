"""The dashboards: every query is one that Prometheus takes, over metrics that the code exports, and shows something."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from real_prometheus import NAMESPACE, Exposed, prometheus, query, served, wait_until

from monitoring.dashboards.files import write_dashboards
from monitoring.rules.files import rule_groups, write_rules
from monitoring.rules.model import Record
from monitoring.rules.parameters import Parameters, parameters_group
from plumbline.settings import load_settings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CHART_DASHBOARDS = REPOSITORY / "helm" / "plumbline" / "files" / "dashboards"

THIRD_PARTIES = {
    "ALERTS",
    "up",
    "alertmanager_notifications_total",
    "alertmanager_notifications_failed_total",
    "prometheus_tsdb_head_series",
    "prometheus_tsdb_storage_blocks_bytes",
    "prometheus_rule_evaluation_failures_total",
}
"""Metrics that Prometheus and Alertmanager bring; the test below asks a real Prometheus for its own."""

EMPTY_HERE = ("ALERTS{", "alertmanager_", "prometheus_tsdb")
"""Nothing fires in the test, no Alertmanager runs, Prometheus does not scrape itself."""


@pytest.fixture(scope="module")
def dashboards(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What Grafana is given."""
    files = write_dashboards(tmp_path_factory.mktemp("dashboards"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    """The platform's metrics."""
    folder = tmp_path_factory.mktemp("exposed")
    return Exposed(load_settings(home=folder / "home"), folder)


@pytest.fixture(scope="module")
def scraping(exposed: Exposed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with our rules that has scraped our metrics more than twice."""
    folder = tmp_path_factory.mktemp("prometheus")
    write_rules(folder / "rules", Parameters(namespace=NAMESPACE))
    with served(exposed.pages) as port:
        jobs = [
            {
                "job_name": f"plumbline-{component}",
                "metrics_path": f"/{component}",
                "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": NAMESPACE}}],
            }
            for component in exposed.pages()
        ]
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(folder / "rules" / "*.yaml")],
            "scrape_configs": jobs,
        }
        with prometheus(folder, config) as url:
            wait_until(lambda: bool(query(url, 'count_over_time(up{job="plumbline-controller"}[1m]) > 2')))
            wait_until(lambda: exposed.work() or bool(query(url, "sum(rate(plumbline_degraded_total[1m])) > 0")))
            wait_until(lambda: bool(query(url, 'plumbline:slo_errors:ratio_rate1h{slo="availability"} > 0')))
            yield url


def test_every_query_shows_something(dashboards: list[dict[str, Any]], scraping: str) -> None:
    for dashboard in dashboards:
        for panel, expression in _queries(dashboard):
            found = query(scraping, _filled(expression))
            if not any(name in expression for name in EMPTY_HERE):
                assert found, f"{dashboard['title']}, {panel}: {expression}"


def test_every_rule_of_a_real_prometheus_works(scraping: str) -> None:
    groups = httpx.get(f"{scraping}/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == sum(len(group.rules) for part in rule_groups().values() for group in part) + 8
    assert not {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")}


def test_every_metric_exists(dashboards: list[dict[str, Any]], exposed: Exposed) -> None:
    exposed.work()
    recorded = {rule.name for group in _groups() for rule in group.rules if isinstance(rule, Record)}
    known = _exported(exposed) | recorded | THIRD_PARTIES
    asked = {name for dashboard in dashboards for _, expression in _queries(dashboard) for name in _metrics(expression)}
    asked |= {name for group in _groups() for rule in group.rules for name in _metrics(rule.expr)}
    assert asked <= known, f"nobody exports {sorted(asked - known)}"


def test_what_prometheus_exports_of_itself_is_there(scraping: str) -> None:
    page = httpx.get(f"{scraping}/metrics").text
    for name in THIRD_PARTIES:
        if name.startswith("prometheus_"):
            assert f"\n{name}" in page


def test_names_of_metrics_are_found_in_queries() -> None:
    expression = 'sum by (le) (rate(a_total{job="b", c=~"d_e"}[5m])) / on (x) group_left (y) (f:g:h > 0 or vector(1e3))'
    assert _metrics(expression) == {"a_total", "f:g:h"}


def test_dashboards_are_made_for_any_grafana(dashboards: list[dict[str, Any]]) -> None:
    assert [each["uid"] for each in dashboards] == [
        "plumbline-serving",
        "plumbline-drift",
        "plumbline-loop",
        "plumbline-platform",
    ]
    for dashboard in dashboards:
        variables = {each["name"]: each for each in dashboard["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource"
        assert variables["datasource"]["query"] == "prometheus"
        sources = {json.dumps(each) for each in _everywhere(dashboard, "datasource")}
        assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
        assert all('namespace=~"$namespace"' in expression for _, expression in _queries(dashboard))
        assert not [panel["title"] for panel in dashboard["panels"] if _overlaps(panel, dashboard["panels"])]


def test_the_charts_dashboards_are_the_generated_ones(tmp_path: Path) -> None:
    generated = {path.name: path.read_text() for path in write_dashboards(tmp_path)}
    assert {path.name: path.read_text() for path in CHART_DASHBOARDS.glob("*")} == generated, (
        "Run: plumbline monitor dashboards --out helm/plumbline/files/dashboards"
    )


def _groups() -> list[Any]:
    return [group for part in rule_groups().values() for group in part] + [parameters_group(Parameters())]


def _queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


def _filled(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$namespace", ".*")


def _exported(exposed: Exposed) -> set[str]:
    pages = b"".join(exposed.pages().values()).decode()
    # The name of a family stands for those that have no sample yet.
    return set(re.findall(r"^(?:# TYPE )?([a-zA-Z_:][a-zA-Z0-9_:]*)", pages, re.MULTILINE))


def _metrics(expression: str) -> set[str]:
    """Names of metrics in a query: what is no label, function, keyword or number."""
    left = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", expression)
    left = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", left)
    names = re.findall(r"(?<![\w.:])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])", left)
    return set(names) - {"and", "or", "unless", "by", "sum", "max", "min", "count", "bool", "offset"}


def _everywhere(content: Any, key: str) -> Iterator[Any]:
    if isinstance(content, dict):
        for name, value in content.items():
            if name == key and isinstance(value, dict):
                yield value
            yield from _everywhere(value, key)
    elif isinstance(content, list):
        for each in content:
            yield from _everywhere(each, key)


def _overlaps(panel: dict[str, Any], panels: list[dict[str, Any]]) -> bool:
    a = panel["gridPos"]
    return any(
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
        for other in panels
        if other is not panel
        for b in (other["gridPos"],)
    )
