"""Puts one number into a YAML file, and leaves every other character of it, comments included, as it is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from plumbline.errors import SettingsError, UserError
from plumbline.files import atomic_write

_MARK = "# plumbline serve tune: "
"""Begins the lines that a run leaves above the number, and that the next run replaces."""

_GROUP = "serving"
_KEY = "max_batch_size"


def changed(text: str, size: int, remarks: Sequence[str]) -> str:
    """The file's text with `serving.max_batch_size` set, and remarks on how it was found.

    Args:
        text: YAML of settings; may be empty.
        size: The number.
        remarks: Lines of a comment. They are left out where the group is written in braces, on one line.

    Raises:
        SettingsError: The text is no YAML mapping, or `serving` is none.
    """
    lines = [line for line in text.splitlines(keepends=True) if not line.lstrip().startswith(_MARK)]
    kept = "".join(lines)
    new = _set(kept, size, [f"{_MARK}{remark}" for remark in remarks])
    wanted = _loaded(text) or {}
    wanted = {**wanted, _GROUP: {**(wanted.get(_GROUP) or {}), _KEY: size}}
    if _loaded(new) != wanted:
        raise SettingsError(
            f"The file's {_GROUP} group is written in a way that cannot be changed safely. "
            f"Set {_GROUP}.{_KEY} to {size} by hand."
        )
    return new


def diff(old: str, new: str, name: str) -> str:
    """What a change does, as a unified diff."""
    return "".join(difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), name, name))


def write(path: Path, text: str) -> None:
    """Replaces a file as a whole, or not at all; its mode stays.

    Raises:
        UserError: The file cannot be written.
    """
    target = path.resolve()  # the file behind a link, not the link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target, durable=True) as new:
            new.write_text(text, encoding="utf-8")
            if target.exists():
                new.chmod(target.stat().st_mode)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error}). Give another file with --out.") from error


def _set(text: str, size: int, remarks: Sequence[str]) -> str:
    root = _node(text)
    if root is None:
        start = text if not text or text.endswith("\n") else f"{text}\n"
        return start + _new_group(size, remarks)
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError("The file is not a YAML mapping of settings.")
    group = _value(root, _GROUP)
    if group is None:
        if root.flow_style:
            return _insert(text, root.start_mark.index + 1, f"{_GROUP}: {{{_KEY}: {size}}}, ")
        return _insert(text, root.value[0][0].start_mark.index, _new_group(size, remarks))
    if isinstance(group, yaml.ScalarNode) and not group.value:
        below = _new_group(size, remarks).partition("\n")[2]
        return _insert(text, group.start_mark.index, "\n" + below.rstrip("\n"))
    if not isinstance(group, yaml.MappingNode):
        raise SettingsError(f"{_GROUP} is not a mapping in the file. Correct it first.")
    return _set_in(group, text, size, remarks)


def _set_in(group: yaml.MappingNode, text: str, size: int, remarks: Sequence[str]) -> str:
    number = _value(group, _KEY)
    if number is not None:
        text = text[: number.start_mark.index] + str(size) + text[number.end_mark.index :]
        key = next(key for key, _ in group.value if key.value == _KEY)
    elif group.flow_style:
        comma = ", " if group.value else ""
        text = _insert(text, group.start_mark.index + 1, f"{_KEY}: {size}{comma}")
    else:
        key = group.value[0][0]
        indent = " " * key.start_mark.column
        text = _insert(text, key.start_mark.index, f"{_KEY}: {size}\n{indent}")
    return text if group.flow_style else _above(text, key, remarks)


def _above(text: str, key: yaml.Node, remarks: Sequence[str]) -> str:
    indent = " " * key.start_mark.column
    start = key.start_mark.index - key.start_mark.column
    return _insert(text, start, "".join(f"{indent}{remark}\n" for remark in remarks))


def _new_group(size: int, remarks: Sequence[str]) -> str:
    return f"{_GROUP}:\n" + "".join(f"  {remark}\n" for remark in remarks) + f"  {_KEY}: {size}\n"


def _insert(text: str, place: int, what: str) -> str:
    return text[:place] + what + text[place:]


def _value(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in mapping.value if key.value == name), None)


def _node(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"The file is not YAML: {error}") from error


def _loaded(text: str) -> dict[str, Any] | None:
    try:
        return yaml.safe_load(text)  # type: ignore[no-any-return]
    except yaml.YAMLError as error:
        raise SettingsError(f"The file is not YAML: {error}") from error
