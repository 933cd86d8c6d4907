"""One number into a YAML file, everything else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plumbline.errors import SettingsError, UserError
from serving.tuning.config_file import changed, diff, write

FULL = """\
# our installation
home: /var/lib/plumbline   # a volume
serving:
  # chosen by hand
  port: 8100
  max_batch_size: 32  # too large?
  access: {}
model:
  seed: 3
"""


def test_only_the_number_and_our_remarks_change() -> None:
    new = changed(FULL, 48, ["today", "  1 posting: 2 ms"])
    assert yaml.safe_load(new)["serving"] == {"port": 8100, "max_batch_size": 48, "access": {}}
    kept = [line for line in new.splitlines() if "serve tune" not in line]
    assert kept == [line.replace("32", "48") for line in FULL.splitlines()]
    assert "  # plumbline serve tune: today\n  # plumbline serve tune:   1 posting: 2 ms\n  max_batch_size: 48" in new


def test_a_second_run_replaces_the_first_ones_remarks() -> None:
    once = changed(FULL, 48, ["one"])
    assert changed(once, 64, ["two"]) == changed(FULL, 64, ["two"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "home: /tmp/x\n",
        "home: /tmp/x",
        "serving:\n",
        "serving:\nhome: /tmp/x\n",
        "serving: {port: 8100}\nhome: /tmp/x\n",
        "serving: {}\n",
        "serving: {port: 8100, max_batch_size: 7}  # so\n",
        "{home: /tmp/x}\n",
        "serving:\n    port: 8100\n",
        '"serving":\n  port: 8100\n  models:\n    other: {max_batch_size: 3}\n',
        "---\nserving:\n  models:\n    other:\n      max_batch_size: 3\n",
    ],
)
def test_whatever_way_the_file_is_written(text: str) -> None:
    before = yaml.safe_load(text) or {}
    expected = {**before, "serving": {**(before.get("serving") or {}), "max_batch_size": 12}}
    assert yaml.safe_load(changed(text, 12, ["why"])) == expected


@pytest.mark.parametrize(
    "text", ["- a list\n", "just text\n", "serving: 3\n", "a: [\n", "serving: &s {port: 1}\nx: *y\n"]
)
def test_what_is_no_mapping_of_settings_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        changed(text, 12, [])


def test_the_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "plumbline.yaml", tmp_path / "link.yaml"
    path.write_text(FULL)
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, "home: /x\n")
    assert link.is_symlink()
    assert path.read_text() == "home: /x\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.yaml", "plumbline.yaml"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        write(tmp_path / "file" / "x.yaml", "a: 1\n")


def test_the_diff_shows_the_change() -> None:
    assert "-  max_batch_size: 32  # too large?\n+  max_batch_size: 9  # too large?" in diff(
        FULL, changed(FULL, 9, []), "plumbline.yaml"
    )
