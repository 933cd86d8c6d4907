"""Files that appear whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from plumbline.files import INCOMING, atomic_write


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_when_the_block_has_ended(tmp_path: Path, *, durable: bool) -> None:
    target = tmp_path / "postings.csv.gz"
    target.write_text("old")
    with atomic_write(target, durable=durable) as path:
        path.write_text("new")
        assert path.name.startswith(INCOMING)
        assert path.name.endswith(".csv.gz")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["postings.csv.gz"]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def write_half() -> None:
        with atomic_write(target) as path:
            path.write_text("half")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        write_half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new") as path:
        path.write_text("x")
    beside = tmp_path / "beside"
    beside.write_text("x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


def test_the_longest_name_that_a_file_may_have(tmp_path: Path) -> None:
    with atomic_write(tmp_path / ("n" * 255)) as path:
        path.write_text("x")
    assert names(tmp_path) == ["n" * 255]
