"""How often drift monitors cry wolf, and how soon they notice: seeds by scenarios, no services needed.

    python benchmarks/drift.py --seeds 5
    python benchmarks/drift.py --data postings.csv.gz --mapping mapping.yaml

For each stream a reference ends two weeks before the change point (as in the demo); a simple linear classifier stands
for the model. Clean windows are all later two-week windows of the stream without a scenario. With a scenario, windows
follow each other from the change point until one raises an alert.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from monitoring import evidence
from monitoring.detector import Detector, Finding
from monitoring.policy import DriftPolicy, load_policy
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.known import known_at
from plumbline.data.scenarios import SCENARIOS, apply_scenario

WEEK = timedelta(days=7)
WINDOW = 2 * WEEK
UNSEEN_WEEKS = 3
"""Last weeks of the reference that the classifier is not fitted on; fewer where the reference is short."""


@dataclass(frozen=True)
class Row:
    """One judged stream."""

    stream: str
    scenario: str
    windows: int
    alerts: int
    delay_days: float | None
    since_error_days: float | None
    worst: str
    seconds: float


def main() -> None:
    """Runs the sweep and prints a table, or JSON lines with `--json`."""
    options = _options()
    policy = load_policy(options.policy)
    rows = []
    for stream, frame in _streams(options):
        for row in sweep(stream, frame, options.scenarios, policy):
            rows.append(row)
            print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)
    clean = [row for row in rows if row.scenario == "none"]
    drifted = [row for row in rows if row.scenario != "none"]
    windows = sum(row.windows for row in clean)
    print(
        f"clean windows: {sum(row.alerts for row in clean)} alerts in {windows}; "
        f"drifted streams: {sum(row.delay_days is not None for row in drifted)} of {len(drifted)} noticed, "
        f"{sum(row.delay_days == WINDOW.days for row in drifted)} in the first window"
    )


def sweep(stream: str, frame: pd.DataFrame, scenarios: list[str], policy: DriftPolicy) -> Iterator[Row]:
    """Judges one stream clean, and under each scenario.

    Args:
        stream: Its name in the table.
        frame: Postings in the order of time.
        scenarios: Names of scenarios.
        policy: Drift policy.
    """
    begin = frame["event_timestamp"].min().to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0)
    weeks = int((frame["event_timestamp"].max() - begin) / WEEK) + 1
    change_point = begin + (weeks - max(3, weeks // 4)) * WEEK
    end = change_point - WINDOW
    unseen = end - min(UNSEEN_WEEKS, max(1, (end - begin) // WEEK // 3)) * WEEK
    classifier = Classifier(known_at(frame[frame["event_timestamp"] < unseen], end))
    reference = classifier.answer(known_at(frame, end))
    fitted = reference["event_timestamp"] < unseen
    reference.loc[fitted, "prediction"] = None
    reference.loc[fitted, "probability"] = np.nan
    detector = Detector(reference, policy, anchor=end)
    last = begin + weeks * WEEK
    yield _judged(stream, "none", frame, detector, classifier, first=end, last=last, change_point=None)
    for name in scenarios:
        moved = pd.concat(list(apply_scenario([frame], name, change_point, seed=3)), ignore_index=True)
        yield _judged(
            stream, name, moved, detector, classifier, first=change_point, last=last, change_point=change_point
        )


class Classifier:
    """Hashed words and a linear model: quick, and good enough to have predictions to watch."""

    def __init__(self, labelled: pd.DataFrame) -> None:
        """Fits on the rows that have a label."""
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.linear_model import SGDClassifier

        known = labelled[labelled["label"].notna()]
        self._words = HashingVectorizer(n_features=2**16, ngram_range=(1, 2), alternate_sign=False)
        self._model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=10, random_state=0, tol=None)
        self._model.fit(self._words.transform(_texts(known)), known["label"].astype(str))

    def answer(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with `prediction` and `probability`."""
        probabilities = self._model.predict_proba(self._words.transform(_texts(frame)))
        best = probabilities.argmax(axis=1)
        answers = self._model.classes_.astype(object)[best]
        return frame.assign(prediction=answers, probability=probabilities.max(axis=1))


def _judged(
    stream: str,
    scenario: str,
    frame: pd.DataFrame,
    detector: Detector,
    classifier: Classifier,
    *,
    first: datetime,
    last: datetime,
    change_point: datetime | None,
) -> Row:
    started = time.perf_counter()
    windows = alerts = 0
    delay = since_error = None
    worst: list[str] = []
    start = first
    while start + WINDOW <= last:
        stop = start + WINDOW
        known = known_at(frame, stop)
        inside = (known["event_timestamp"] >= pd.Timestamp(start)).to_numpy()
        window = classifier.answer(known[inside].reset_index(drop=True))
        findings = detector.judge(window, start, stop)
        breached = [finding for finding in findings if finding.breached]
        windows += 1
        if breached:
            alerts += 1
            worst.append(f"{breached[0].name} {breached[0].value:.2f}>{breached[0].threshold:.2f}")
            if change_point is not None:
                delay = (stop - change_point) / timedelta(days=1)
                since_error = _since_error(detector, breached[0], known, start, change_point, classifier)
                break
        start += WINDOW if change_point is not None else WEEK
    if not alerts:
        near = max(
            (finding for finding in findings if finding.value is not None),
            key=lambda finding: finding.value / max(finding.threshold, 1e-6),
        )
        worst.append(f"({near.name} {near.value:.2f}<{near.threshold:.2f})")
    seconds = time.perf_counter() - started
    return Row(stream, scenario, windows, alerts, delay, since_error, "; ".join(worst), round(seconds, 2))


def _since_error(
    detector: Detector,
    finding: Finding,
    known: pd.DataFrame,
    start: datetime,
    change_point: datetime,
    classifier: Classifier,
) -> float:
    recent = classifier.answer(known[known["event_timestamp"] >= pd.Timestamp(start - 2 * WEEK)].reset_index(drop=True))
    test = next(test for test in detector.tests if test.name == finding.name)
    inside = (recent["event_timestamp"] >= pd.Timestamp(start)).to_numpy()
    scores = evidence.posting_scores(
        test, detector.rows(recent), inside, detector.reference_rows, detector.policy.max_stratum_weight
    )
    return (evidence.change_point(recent["event_timestamp"], scores) - change_point) / timedelta(days=1)


def _streams(options: argparse.Namespace) -> Iterator[tuple[str, pd.DataFrame]]:
    if options.data is not None:
        yield options.data.name, _real(options.data, options.mapping)
        return
    for seed in range(1, options.seeds + 1):
        config = GeneratorConfig(rows=options.rows, weeks=options.weeks, seed=seed)
        yield f"seed {seed}", pd.concat(list(generate(config)), ignore_index=True)


def _real(data: Path, mapping: Path) -> pd.DataFrame:
    from plumbline.data.ingest import admit
    from plumbline.data.mapping import RowMapper, load_mapping, open_file
    from plumbline.settings import load_settings

    settings = load_settings()
    chosen = load_mapping(mapping)
    source = open_file(data, chosen)
    mapper = RowMapper(chosen, source.columns, timedelta(days=settings.data.default_label_delay_days))
    return admit(source, mapper, settings.data).postings.sort_values("event_timestamp", ignore_index=True)


def _texts(frame: pd.DataFrame) -> pd.Series:
    return frame["title"].fillna("") + " " + frame["description"].fillna("")


def _line(row: Row) -> str:
    delay = "-" if row.delay_days is None else f"{row.delay_days:.0f} d"
    since = "" if row.since_error_days is None else f"{row.since_error_days:+.0f} d"
    return (
        f"{row.stream:24} {row.scenario:26} windows {row.windows:2}  alerts {row.alerts:2}  delay {delay:5} "
        f"since {since:5} {row.seconds:5.1f} s  {row.worst}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--mapping", type=Path)
    parser.add_argument("--policy", default="default")
    parser.add_argument("--scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
