"""The report page: whole and readable from whatever figures there are, by everybody, wherever its folder lies."""

from __future__ import annotations

import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from plumbline.demo.report import write_report

Figures = dict[str, Any]

SECTIONS = {
    "stages": "stages",
    "rows": "postings",
    "parity": "features",
    "model": "training",
    "load": "serving",
    "monitor": "monitoring",
    "loop": "loop",
    "answers": "answers",
}
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Tags with their attributes in order; every tag that is opened must be closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "title"):
            self.text += data

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def anchors(self) -> set[str | None]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


def _page(figures: Figures, folder: Path) -> Page:
    return Page(write_report(figures, out=folder, home=Path("/home/someone/it's here")))


def _sound(page: Page) -> None:
    """What must be true of every page."""
    assert page.path.stat().st_size < 2_000_000
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("title")) - len(page.all("svg")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in (attributes for _, attributes in page.tags):
        for name in ("href", "xlink:href", "src", "aria-labelledby"):
            target = attributes.get(name)
            if target is None or target.startswith("http://127.0.0.1:"):
                continue
            if name == "aria-labelledby" or target.startswith("#"):
                assert target.removeprefix("#") in ids, target
            else:
                assert (page.path.parent / target).is_file(), target
    for reference in re.findall(r"url\(#([^)]+)\)", page.source):
        assert reference in ids
    assert page.all("img", "iframe", "script") == []
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert re.search(rf'<title id="{svg["aria-labelledby"]}">[^<]{{40,}}</title>', page.source)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))


def test_the_page_of_a_run_that_went_well(finished: Figures, tmp_path: Path) -> None:
    page = _page(finished, tmp_path)
    _sound(page)
    assert set(SECTIONS.values()) | {"next"} <= page.anchors
    assert page.text.index("The loop closed") < page.text.index("12,000 rows")
    assert len(page.all("svg")) == 2
    assert "version 2 took over" in page.source
    for name in ("8 Plant and machine operators", "2 Professionals"):
        assert page.text.count(name) >= 2
    links = [link["href"] for link in page.all("a")]
    run, version = finished["training"]["run_id"], "posting-classifier/versions/2?workflowType=machine_learning"
    assert f"http://127.0.0.1:5050/#/runs/{run}" in links
    assert f"http://127.0.0.1:5050/#/models/{version}" in links
    assert {"http://127.0.0.1:8085/projects/x/reports/y", "http://127.0.0.1:8085/projects/x"} <= set(links)
    assert "PLUMBLINE_HOME='/home/someone/it'\"'\"'s here'" in page.text


def test_five_postings_with_both_answers(finished: Figures, tmp_path: Path) -> None:
    finished["answers"][0] |= {"title": "<script>alert(1)</script>", "label": None}
    page = _page(finished, tmp_path)
    _sound(page)
    assert page.text.count("Labelled ") == 4
    assert page.text.count("Not labelled") == 1
    assert page.text.count("not known") == 2
    assert "<script>alert(1)</script>" in page.text
    assert "version 1 is right 71 times, version 2 is right 262 times, none of them 98 times" in page.text


def test_evidentlys_pages_lie_beside_it_and_move_with_it(finished: Figures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name, window in finished["monitor"]["windows"].items():
        window["report_html"] = str(tmp_path / f"{name}-of-the-monitor.html")
        Path(window["report_html"]).write_text(name * 1_000_000)
    page = _page(finished, out)
    _sound(page)
    assert {"evidently/clean.html", "evidently/drifted.html"} <= {link["href"] for link in page.all("a")}
    shutil.move(out, tmp_path / "elsewhere")
    for window in finished["monitor"]["windows"].values():
        Path(window["report_html"]).unlink()
    _sound(Page(tmp_path / "elsewhere" / "report.html"))

    finished["monitor"]["windows"]["clean"]["report_html"] = "s3://bucket/monitoring/reports/a.html"
    (tmp_path / "elsewhere" / "evidently" / "mine.html").touch()
    later = _page(finished, tmp_path / "elsewhere")
    _sound(later)
    assert "s3://bucket/monitoring/reports/a.html" in later.text
    assert [page.name for page in (tmp_path / "elsewhere" / "evidently").iterdir()] == ["mine.html"]


def test_a_champion_that_stayed_has_one_line_and_its_mark(rejected: Figures, tmp_path: Path) -> None:
    page = _page(rejected, tmp_path)
    _sound(page)
    assert "version 2 rejected" in page.source
    assert "the version that was served" in page.source
    assert "without: the first version" not in page.source


@pytest.mark.parametrize("missing", [*SECTIONS, "postings", "timeline", "training", "options", "machine", "seconds"])
def test_every_part_may_be_missing(finished: Figures, tmp_path: Path, missing: str) -> None:
    del finished[missing]
    page = _page(finished, tmp_path)
    _sound(page)
    if missing in SECTIONS:
        assert SECTIONS[missing] not in page.anchors


STAGES = ("Postings", "Features", "Training", "Serving", "Monitoring", "The loop")
PARTS = (
    ("rows", "postings", "stream", "snapshot_id", "timeline"),
    ("features", "parity"),
    ("training", "model"),
    ("load", "prediction_log"),
    ("monitor",),
    ("loop", "answers", "answers_about"),
)


@pytest.mark.parametrize("failed", range(len(STAGES)))
def test_a_run_that_failed_has_a_page_with_what_there_is(finished: Figures, tmp_path: Path, failed: int) -> None:
    for name in itertools.chain(*PARTS[failed:]):
        finished.pop(name, None)
    states = ["done"] * failed + ["failed"] + ["not_run"] * (len(STAGES) - failed - 1)
    finished |= {
        "outcome": "failed",
        "resume": "plumbline demo --out build/demo",
        "stages": [
            {"name": name, "state": state, "seconds": 1.5 if state != "not_run" else None, "error": None}
            for name, state in zip(STAGES, states, strict=True)
        ],
    }
    finished["stages"][failed]["error"] = "There is no disk space left. Free some."
    page = _page(finished, tmp_path)
    _sound(page)
    said = "The loop failed" if STAGES[failed] == "The loop" else f"The run failed in the stage {STAGES[failed]}"
    assert page.text.strip().find(said) < 200
    assert "There is no disk space left." in page.text
    assert page.text.count("did not run") == len(STAGES) - failed - 1
    assert "plumbline demo --out build/demo" in page.text
    assert {anchor for anchor in SECTIONS.values() if anchor in page.anchors} == {
        "stages", *list(SECTIONS.values())[1 : failed + 1],
    }  # fmt: skip


def test_a_loop_that_broke_off_half_way(finished: Figures, tmp_path: Path) -> None:
    finished["loop"] = {"retrained": True, "retraining": {"state": "failed", "error": "Step train: no room."}}
    finished["outcome"] = "failed"
    finished["stages"][-1] |= {"state": "failed", "error": "The retraining failed: Step train: no room."}
    page = _page(finished, tmp_path)
    _sound(page)
    assert page.text.index("The loop failed: The retraining failed: Step train") < page.text.index("What to do next")
    finished["loop"] = {"retrained": False}
    _sound(_page(finished, tmp_path))


def test_a_first_model_that_was_rejected_is_shown(finished: Figures, tmp_path: Path) -> None:
    for name in itertools.chain(*PARTS[3:], ("stages",)):
        finished.pop(name, None)
    model = finished.pop("model")
    finished["training"] |= {"metrics": {**model, "n": model["n_eval"]}, "promoted": False}
    finished["training"]["gate"] = {"verdict": "reject", "reasons": ["Macro-F1 is 0.100, below 0.200."]}
    page = _page(finished, tmp_path)
    _sound(page)
    assert page.text.index("The gate rejected the first model: Macro-F1 is 0.100") < page.text.index("12,000 rows")
    assert "judged on 535 later" in page.text


def test_nothing_but_an_outcome(tmp_path: Path) -> None:
    page = _page({"outcome": "failed", "stages": [], "resume": None}, tmp_path)
    _sound(page)
    assert "The run failed before its first stage." in page.text


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Contrast ratio by WCAG 2.2, 1.4.3."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_are_told_apart_in_both_modes(finished: Figures, tmp_path: Path, mode: int) -> None:
    block = re.findall(r":root \{([^}]*)\}", _page(finished, tmp_path).source)[mode]
    colours = {
        name: tuple(int(text[place : place + 2], 16) for place in (0, 2, 4))
        for name, text in re.findall(r"--(\w+): #(\w{6})", block)
    }
    [shade] = re.findall(r"--shade: (\d+) (\d+) (\d+)", block)
    full = tuple(0.45 * int(top) + 0.55 * below for top, below in zip(shade, colours["paper"], strict=True))
    for text in ("ink", "muted", "good", "bad", "accent"):
        assert _contrast(colours[text], colours["paper"]) >= 4.5, text
    assert _contrast(colours["ink"], full) >= 4.5
    assert _contrast(colours["ink"], colours["panel"]) >= 4.5
    for part in ("bar", "good", "bad", "look"):
        assert _contrast(colours[part], colours["panel"]) >= 3.0, part
