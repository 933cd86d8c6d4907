from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.demo.checkpoint import Checkpoint, load_checkpoint
from plumbline.demo.options import DemoOptions
from plumbline.errors import IntegrityError, MissingInputError, UserError


def test_what_is_saved_is_what_goes_on(tmp_path: Path) -> None:
    kept = Checkpoint(DemoOptions(rows=3000), {"rows": {"read": 3}}, {"Postings": 1.5}, {"Read": 1.4}, 2.0, 100.0)
    kept.save(tmp_path)
    found = load_checkpoint(tmp_path, DemoOptions())
    assert found == kept


def test_the_report_may_go_elsewhere(tmp_path: Path) -> None:
    Checkpoint(DemoOptions(rows=3000)).save(tmp_path)
    found = load_checkpoint(tmp_path, DemoOptions(rows=3000, out=tmp_path / "out"))
    assert found.options == DemoOptions(rows=3000, out=tmp_path / "out")


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    Checkpoint(DemoOptions(rows=3000)).save(tmp_path)
    with pytest.raises(UserError, match=r"other options \(rows, seed\)"):
        load_checkpoint(tmp_path, DemoOptions(rows=4000, seed=1))
    load_checkpoint(tmp_path, DemoOptions())  # what the message advises


def test_nothing_to_go_on_with_and_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="without --resume"):
        load_checkpoint(tmp_path, DemoOptions())
    (tmp_path / "demo.json").write_text('{"options": {"rows"')
    with pytest.raises(IntegrityError, match="without --resume"):
        load_checkpoint(tmp_path, DemoOptions())
