"""Which of a command's lines tell that it gets on."""

from __future__ import annotations

from pathlib import Path

from plumbline.process.lines import Lines, LogLines


def _told(*said: str) -> int:
    lines = Lines()
    for line in said:
        lines.add(line)
    return lines.told


def test_what_is_new_counts() -> None:
    assert _told("epoch 1\n", "epoch 2\n", "epoch 2\n", "\n", "   \n") == 2


def test_the_time_does_not_count_and_what_happens_inside_does() -> None:
    assert _told("  Train ... 8 s", "  Train ... 38 s", "  Train ... 69 s\n") == 1
    assert _told("  Train ... 8 s  fit", "  Train ... 38 s  calibrate") == 2


def test_a_log_is_read_on_line_by_line(tmp_path: Path) -> None:
    log = LogLines(tmp_path / "log")
    assert log.look() == 0
    (tmp_path / "log").write_bytes("Żółw 1\nŻół".encode())
    assert (log.look(), log.last) == (1, "Żółw 1")
    with (tmp_path / "log").open("ab") as file:
        file.write("w 2\n\xff\n".encode("latin-1", "replace"))
    assert log.look() == 3
    assert log.look() == 3
