"""The page of a load run or of a search for the knee: one file that needs nothing besides itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.files import atomic_write
from serving.load import pictures


@dataclass(frozen=True)
class _Table:
    title: str
    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()


def write_run_page(result: dict[str, Any], path: Path) -> None:
    """Writes the page of `plumbline load run` or `replay`; replaces an earlier one whole."""
    budget, rows = result["budget_ms"], result["by_second"]
    shown: list[tuple[str, str]] = [
        ("Latency over time", pictures.latency_over_time(rows, budget_ms=budget)),
        ("Rate", pictures.rates(rows, result.get("rate_corners", ()), offset=result["warm_up"]["seconds"])),
    ]
    if result["percentile_curve"]:
        curve = pictures.percentile_curve(result["percentile_curve"], budget_ms=budget)
        shown.insert(1, ("Latency by percentile", curve))
    if result["errors"]:
        shown.append(("Errors", pictures.errors_over_time(rows, list(result["errors_by_kind"]))))
    _write(
        path,
        title=f"Load: {result['sent']:,} requests at {result['target_rate']:g}/s",
        subtitle=f"{result['url']}, run {result['run_id']}, {result['duration_seconds']:g} s after "
        f"{result['warm_up']['seconds']:g} s of warm-up; latency counts from the intended send time",
        warnings=result["generator_warnings"],
        tables=[_figures(result), _slo(result), _errors(result), _server(result)],
        shown=shown,
        result=result,
    )


def write_knee_page(result: dict[str, Any], path: Path) -> None:
    """Writes the page of `plumbline load knee`; replaces an earlier one whole."""
    knee = result["knee_rps"]
    confidence = result["confidence"]
    low, high = confidence["late_share_interval"]
    rows = [
        [
            f"{step['rate']:.0f}/s",
            _ms(step["p99_ms"]),
            f"{100 * step['errors']:.2f}%",
            f"{step['goodput']:.0f}/s",
            "met" if step["holds"] else "missed",
        ]
        for step in result["curve"]
    ]
    summary = [
        ["highest rate that holds", "none" if knee is None else f"{knee:g}/s"],
        ["does not hold at", "not found" if result["fails_at_rps"] is None else f"{result['fails_at_rps']:g}/s"],
        ["limited by", result["limited_by"]],
        ["confidence", f"{confidence['held']} of {confidence['steps']} steps held; "
         f"{100 * low:.2f}% to {100 * high:.2f}% of the requests late or failed"],
    ]  # fmt: skip
    _write(
        path,
        title="No rate holds" if knee is None else f"Knee: {knee:.0f} requests per second",
        subtitle=f"{result['url']}; p99 of at most {result['budget_ms']:g} ms, errors of at most "
        f"{100 * result['most_errors']:g}%",
        warnings=["The generator could not send more: the endpoint may take more than this."]
        if result["limited_by"] == "generator"
        else [],
        tables=[_Table("Result", summary), _Table("Steps", rows, ("rate", "p99", "errors", "good", "objective"))],
        shown=[("p99 and good answers by rate",
                pictures.knee_curve(result["curve"], knee=knee, budget_ms=result["budget_ms"]))],
        result=result,
    )  # fmt: skip


def _figures(result: dict[str, Any]) -> _Table:
    rows = [
        ["answered", f"{result['answered']:,} of {result['sent']:,}, {result['rate']:g}/s"],
        ["good (inside the budget)", f"{result['goodput_rps']:g}/s, {100 * result['within_budget']:.2f}%"],
        *([name, _ms(result[f"{name}_ms"])] for name in ("p50", "p90", "p95", "p99", "p999", "max", "mean")),
        ["degraded", f"{result['degraded']:,}"],
        ["model versions", ", ".join(f"{name}: {count:,}" for name, count in result["by_version"].items()) or "none"],
        ["generator late, p99", _ms(result["send_lag_p99_ms"])],
        ["generator's CPU", f"{result['generator_cpu_us_per_request']:g} µs per request"],
    ]
    if "log" in result:
        rows.append(["missing in the prediction log", f"{result['log']['missing']} of {result['log']['answered']}"])
    return _Table("Figures", rows)


def _slo(result: dict[str, Any]) -> _Table:
    rows = [
        [row["objective"], "-" if row["value"] is None else f"{row['value']:.6g}", "met" if row["met"] else "missed"]
        for row in result["slo"]
    ] or [[f"p99<={result['budget_ms']:g}ms,errors<=0%", "", "met" if result["slo_met"] else "missed"]]
    return _Table("Objectives", rows, ("objective", "measured", ""))


def _errors(result: dict[str, Any]) -> _Table:
    rows = [[kind, f"{count:,}"] for kind, count in result["errors_by_kind"].items()] or [["none", ""]]
    return _Table("Errors by kind", rows)


def _server(result: dict[str, Any]) -> _Table:
    rows = [[stage, _ms(mean)] for stage, mean in result["server_mean_ms"].items()] or [["no answer", ""]]
    return _Table("Mean times inside the endpoint", rows)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"


def _write(
    path: Path,
    *,
    title: str,
    subtitle: str,
    warnings: Sequence[str],
    tables: Sequence[_Table],
    shown: Sequence[tuple[str, str]],
    result: dict[str, Any],
) -> None:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        warnings=warnings,
        tables=tables,
        pictures=shown,
        result=json.dumps(result, indent=2, ensure_ascii=False, default=str),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as page:
        page.write_text(text, encoding="utf-8")
