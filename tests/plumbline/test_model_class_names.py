from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.errors import IntegrityError
from plumbline.model.class_names import CLASS_NAMES_FILE, read_class_names, titled, write_class_names


def test_names_travel_in_the_models_folder(tmp_path: Path) -> None:
    write_class_names(tmp_path, {"1": "Kierownicy", "2": "Specjaliści"})
    assert read_class_names(tmp_path) == {"1": "Kierownicy", "2": "Specjaliści"}


def test_no_names_no_file(tmp_path: Path) -> None:
    write_class_names(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    assert read_class_names(tmp_path) == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"1": 1}'])
def test_a_damaged_file_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / CLASS_NAMES_FILE).write_text(content)
    with pytest.raises(IntegrityError, match="Fetch or train it again"):
        read_class_names(tmp_path)


def test_a_label_without_a_name_stands_alone() -> None:
    names = {"1": "Managers"}
    assert [titled(label, names) for label in ("1", "2")] == ["1 Managers", "2"]
