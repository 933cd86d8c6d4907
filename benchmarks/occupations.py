"""The classifier against linear SVMs on real postings, under the same splits by time, in one sitting.

    python benchmarks/occupations.py [--data ../shared/data/job_ads_pl] [--seeds 2] [--out build/bench/occupations.json]

Every model is trained on all weeks before a split's test weeks and judged on these. The classifier is given no
structured features here: the comparison is of what each makes of the text and, where it says so, of the thesaurus.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from plumbline.model.classifier import PostingModel
from plumbline.model.evaluate import predict
from plumbline.model.train import train
from plumbline.settings.model import ModelSettings
from plumbline.system import peak_memory_mib, processor_name

SPLITS = {"last 2 weeks": (13, 15), "last 3": (12, 15), "last 4": (11, 15), "weeks 11-13": (10, 13),
          "weeks 9-11": (8, 11), "weeks 7-9": (6, 9)}  # fmt: skip
"""Test weeks, counted from 0, the end excluded; training has all weeks before."""

Answers = np.ndarray
Model = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame, int], Answers]


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Postings with `label` and `week`, and the thesaurus' terms with the label of their code."""
    postings = pd.read_csv(folder / "postings.csv.gz").drop_duplicates("id")
    code = postings["kod zawodu"] // 100_000
    postings = postings[code.between(1, 9)].assign(label=code.map("{:.0f}".format))
    postings = postings.rename(columns={"job.title": "title", "job.description": "description"})
    postings["week"] = pd.factorize(postings["collection.date"], sort=True)[0]
    terms = pd.read_csv(folder / "occupation_titles.csv", dtype=str)
    terms = terms[terms["code"].str[0] != "0"]
    exploded = terms.assign(text=terms["desc"].str.split(",")).explode("text")
    texts = pd.DataFrame({"text": exploded["text"].str.strip(), "label": exploded["code"].str[0]})
    return postings[["title", "description", "label", "week"]].fillna({"title": "", "description": ""}), texts


def svm(blocks: tuple[str, ...], term_weight: float) -> Model:
    """Linear SVM on TF-IDF; blocks are `words` of the text and `characters` of the title."""

    def run(train_rows: pd.DataFrame, terms: pd.DataFrame, test: pd.DataFrame, seed: int) -> Answers:
        def text(frame: pd.DataFrame) -> pd.Series:
            return frame["title"] + " " + frame["description"]

        parts, term_parts, tests = [], [], []
        for block in blocks:
            if block == "words":
                vectoriser, of = TfidfVectorizer(sublinear_tf=True, min_df=2), text
            else:
                vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
                of = lambda frame: frame["title"]  # noqa: E731
            parts.append(vectoriser.fit_transform(of(train_rows)))
            term_parts.append(vectoriser.transform(terms["text"]))
            tests.append(vectoriser.transform(of(test)))
        rows, labels, weights = hstack(parts), train_rows["label"].to_numpy(), np.ones(len(train_rows))
        if term_weight:
            rows = vstack([rows, hstack(term_parts)])
            labels = np.concatenate([labels, terms["label"]])
            weights = np.concatenate([weights, np.full(len(terms), term_weight)])
        return LinearSVC(C=0.5, random_state=seed).fit(rows.tocsr(), labels, weights).predict(hstack(tests).tocsr())

    return run


def classifier(with_terms: bool) -> Model:
    """The classifier with its default settings."""

    def run(train_rows: pd.DataFrame, terms: pd.DataFrame, test: pd.DataFrame, seed: int) -> Answers:
        model: PostingModel = train(
            train_rows,
            train_rows.iloc[:0],
            feature_specs=[],
            label_terms=terms if with_terms else None,
            config=ModelSettings(seed=seed),
        ).model
        return np.array(model.labels)[predict(model, test).argmax(1)]

    return run


MODELS: dict[str, tuple[Model, bool]] = {
    "SVM, words": (svm(("words",), 0.0), False),
    "SVM, title characters": (svm(("characters",), 0.0), False),
    "SVM, both": (svm(("words", "characters"), 0.0), False),
    "SVM, both, thesaurus": (svm(("words", "characters"), 1.0), False),
    "Plumbline": (classifier(False), True),
    "Plumbline, thesaurus": (classifier(True), True),
}
"""Each model, and whether its seed matters."""


def measure(postings: pd.DataFrame, terms: pd.DataFrame, seeds: int) -> list[dict[str, Any]]:
    """One row per model, split and seed."""
    results = []
    for name, (model, seeded) in MODELS.items():
        for split, (start, stop) in SPLITS.items():
            train_rows = postings[postings["week"] < start]
            test = postings[(postings["week"] >= start) & (postings["week"] < stop)]
            for seed in range(seeds if seeded else 1):
                began = time.monotonic()
                answers = model(train_rows, terms, test, seed)
                results.append(
                    {
                        "model": name,
                        "split": split,
                        "seed": seed,
                        "n_train": len(train_rows),
                        "n_test": len(test),
                        "accuracy": float((answers == test["label"].to_numpy()).mean()),
                        "macro_f1": float(f1_score(test["label"], answers, average="macro")),
                        "seconds": time.monotonic() - began,
                    }
                )
    return results


def serving_times(postings: pd.DataFrame, terms: pd.DataFrame) -> dict[str, float]:
    """Microseconds per call on one thread, for postings of 180 to 220 words: alone, and sixteen at once."""
    import torch

    model = train(
        postings, postings.iloc[:0], feature_specs=[], label_terms=terms, config=ModelSettings(epochs=1)
    ).model
    torch.set_num_threads(1)
    lengths = postings["description"].str.split().str.len()
    records = postings[lengths.between(180, 220)][["title", "description"]].head(320).to_dict("records")
    figures: dict[str, float] = {}
    for size in (1, 16):
        times = []
        for start in range(0, len(records) - size + 1, size):
            first = time.perf_counter()
            batch = model.encode(records[start : start + size])
            middle = time.perf_counter()
            model.forward(batch)
            times.append((middle - first, time.perf_counter() - middle))
        for place, name in enumerate(("encode", "forward")):
            column = np.array(times)[:, place] * 1e6
            figures |= {
                f"{name}_{size}_p50_us": float(np.median(column)),
                f"{name}_{size}_p99_us": float(np.quantile(column, 0.99)),
            }
    return figures


def main() -> None:
    """Prints a table and writes every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "../../shared/data/job_ads_pl")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/bench/occupations.json"))
    arguments = parser.parse_args()
    postings, terms = read(arguments.data)
    results = pd.DataFrame(measure(postings, terms, arguments.seeds))
    table = results.groupby(["model", "split"], sort=False)[["accuracy", "macro_f1"]].mean().unstack()
    seconds = results.groupby("model", sort=False)["seconds"].mean()
    print(f"{'model':<24}" + "".join(f"{split:>15}" for split in SPLITS) + f"{'mean':>15}{'seconds':>9}")
    for name in MODELS:
        row = table.loc[name]
        cells = [f"{row['accuracy', split]:.3f}/{row['macro_f1', split]:.3f}" for split in SPLITS]
        mean = f"{row['accuracy'].mean():.4f}/{row['macro_f1'].mean():.4f}"
        print(f"{name:<24}" + "".join(f"{cell:>15}" for cell in cells) + f"{mean:>15}{seconds[name]:>9.1f}")
    times = serving_times(postings, terms)
    print(", ".join(f"{name} {value:.0f}" for name, value in times.items()))
    report = {
        "machine": {"cores": os.cpu_count(), "processor": processor_name()},
        "splits": SPLITS,
        "seeds": arguments.seeds,
        "settings": ModelSettings().model_dump(),
        "results": results.to_dict("records"),
        "serving": times,
        "peak_rss_mb": peak_memory_mib(),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
