"""The figure that the model is built for: real postings, later weeks than it was trained on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from plumbline.model.evaluate import evaluate
from plumbline.model.train import train
from plumbline.settings.model import ModelSettings

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "occupations.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark, for its reading of the files."""
    spec = importlib.util.spec_from_file_location("occupations_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_later_weeks_of_real_postings(job_ads_file: Path, benchmark: ModuleType) -> None:
    postings, terms = benchmark.read(job_ads_file.parent)
    before, after = postings[postings["week"] < 11], postings[postings["week"] >= 11]
    calibration = before[before["week"] >= 9]
    result = train(before[before["week"] < 9], calibration, feature_specs=[], label_terms=terms, config=ModelSettings())
    summary = evaluate(result.model, after, seed=1).summary()
    assert summary["n"] > 1_500
    assert summary["accuracy"] >= 0.80
    assert summary["macro_f1"] >= 0.74
    assert summary["calibration"]["ece"] <= 0.05
