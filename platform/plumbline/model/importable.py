"""Whether a model's class can be imported, found out by a process of its own: what it imports stays out of this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from plumbline.errors import SettingsError
from plumbline.model.protocol import class_path_of, model_class
from plumbline.process.children import module_line


def require_importable(folder: Path) -> None:
    """Refuses a model whose class cannot be imported here. Takes as long as importing it, for a class of the user's.

    Args:
        folder: Folder of the model.

    Raises:
        MissingInputError: There is no model in the folder.
        IntegrityError: Its `config.json` is not JSON.
        SettingsError: Its class cannot be imported.
    """
    path = class_path_of(folder)
    if path.startswith("plumbline."):
        return
    line = module_line("plumbline.model.importable", path)
    done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SettingsError((done.stderr.strip().splitlines() or [f"The model class {path} ends Python."])[-1])


if __name__ == "__main__":
    try:
        model_class(sys.argv[1])
    except SettingsError as problem:
        sys.exit(" ".join(str(problem).split()))
