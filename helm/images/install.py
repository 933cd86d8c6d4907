"""Installs one group of packages into a folder that becomes an image layer: same input, same bytes.

    install.py WHEELS PREFIX

All wheels of the folder WHEELS are installed. Packages are installed for the environment at /opt/plumbline, but into
PREFIX, which is copied there. What no role uses is left out, bytecode is compiled (importing from source costs
each process seconds), and every file gets the time SOURCE_DATE_EPOCH. Runs in the image's builder.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path("/opt/plumbline")
PACKAGES = Path("lib/python3.11/site-packages")

# Test suites, headers, static libraries and tools to build against the packages. Only folders of packages that are
# known to keep nothing else there: `evidently.tests`, for one, is an API.
TESTED = (
    "dask", "fontTools", "h5py", "ibis", "joblib", "matplotlib", "mpl_toolkits", "networkx", "nltk", "numpy",
    "pandas", "patsy", "pyarrow", "scipy", "sklearn", "sqlglot", "statsmodels", "sympy",
)  # fmt: skip
UNUSED = (
    "ray/jars",  # Ray for Java
    "ray/rllib",
    "pyarrow/include",
    "torch/include",
    "torch/share",
    "torch/test",
)
KEPT_OF_TORCH_BIN = "torch_shm_manager"  # the only program there that runs with a model, not with a compiler


def pip_install(wheels: list[str], prefix: Path) -> None:
    """Installs without an index and without resolving: the lock file is the resolution."""
    line = [sys.executable, "-m", "pip", f"--python={ENVIRONMENT / 'bin/python'}", "install", "--quiet", "--no-index"]
    line += ["--no-deps", "--ignore-installed", "--no-compile", "--no-warn-script-location", f"--prefix={prefix}"]
    subprocess.run([*line, *wheels], check=True)


def strip(packages: Path) -> None:
    """Removes what only developers of the packages use."""
    for name in TESTED:
        for folder in sorted((packages / name).rglob("tests")):
            shutil.rmtree(folder, ignore_errors=True)
    for name in UNUSED:
        shutil.rmtree(packages / name, ignore_errors=True)
    for program in (packages / "torch/bin").glob("*"):
        if program.name != KEPT_OF_TORCH_BIN:
            shutil.rmtree(program) if program.is_dir() else program.unlink()
    for archive in [*packages.rglob("*.a"), *packages.rglob("*.js.map")]:
        archive.unlink()


def compile_bytecode(prefix: Path) -> None:
    """Compiles for the final place. The bytecode is never compared with its source: both are read-only."""
    compileall.compile_dir(
        prefix / PACKAGES,
        maxlevels=30,
        stripdir=str(prefix),
        prependdir=str(ENVIRONMENT),
        quiet=2,  # some packages carry templates that are not Python, or are for another Python
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def settle_times(prefix: Path, epoch: int) -> None:
    """Gives everything the same time, links included."""
    for path in [prefix, *prefix.rglob("*")]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main(folder: Path, prefix: Path) -> None:
    """Installs one group; an empty group leaves an empty folder, which is a layer of nothing."""
    (prefix / PACKAGES).mkdir(parents=True, exist_ok=True)
    wheels = sorted(str(wheel) for wheel in folder.glob("*.whl"))
    if wheels:
        pip_install(wheels, prefix)
        strip(prefix / PACKAGES)
        compile_bytecode(prefix)
    settle_times(prefix, int(os.environ["SOURCE_DATE_EPOCH"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
