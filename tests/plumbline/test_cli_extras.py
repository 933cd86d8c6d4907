"""A library that is missing is named with the extra that brings it; what a user's own code misses is left alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from rich.console import Console

from plumbline.cli import extras, output
from plumbline.cli.main import COMMAND_GROUP
from plumbline.errors import UserError

ROOT = Path(__file__).parents[2]
PACKAGES = {name: ROOT / name for name in ("feature_repo", "pipelines", "serving", "monitoring")} | {
    "plumbline": ROOT / "platform/plumbline"
}
BASE = {"annotated_types", "pydantic_core"}  # come with pydantic


def third_party(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - set(PACKAGES) - BASE


def test_every_library_that_is_imported_is_asked_for_by_the_project_or_an_extra() -> None:
    base = extras._requirements()[""]
    for package, folder in PACKAGES.items():
        for module in third_party(folder):
            distribution = extras._normalised(extras._BROUGHT_BY.get(module, module))
            assert distribution in base or extras.extra_with(module, None), f"{package} imports {module}"


def test_every_command_that_has_an_extra_has_one_that_exists() -> None:
    parts = {point.name for point in entry_points(group=COMMAND_GROUP)}
    assert parts - {"data"} <= set(extras.COMMAND_EXTRAS)
    assert set(extras.COMMAND_EXTRAS.values()) <= set(extras._requirements())


@pytest.mark.parametrize(
    ("words", "module", "extra"),
    [
        ("features apply", "feast", "features"),
        ("pipeline list", "kfp", "pipelines"),
        ("models list", "mlflow", "model"),
        ("doctor --cluster", "kubernetes", "controller"),
        ("cluster wait --for postgres --timeout 0", "psycopg", "tracking"),
    ],
)
def test_the_missing_library_is_named_with_its_extra(tmp_path: Path, words: str, module: str, extra: str) -> None:
    command = words.split()
    code = "import sys; sys.modules[sys.argv[1]] = None; del sys.argv[1]; from plumbline.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, module, *command],
        env={**os.environ, "PLUMBLINE_HOME": str(tmp_path), "PGHOST": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith(f"plumbline: `plumbline {command[0]}` needs {module}, which is not installed.")
    assert f"pip install 'plumbline[{extra}]'" in said


def test_the_build_for_cpus_is_offered_where_pip_takes_the_one_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.sys, "platform", "linux")
    assert "uv pip install --torch-backend cpu 'plumbline[serving]'." in extras.how_to_install("serving")
    assert "torch" not in extras.how_to_install("features")
    monkeypatch.setattr(extras.sys, "platform", "darwin")
    assert extras.how_to_install("serving") == "Install it: pip install 'plumbline[serving]'."


def test_what_a_users_own_code_misses_keeps_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one of our extras would bring it."""
    (tmp_path / "my_boosting.py").write_text("import ray\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError) as missing:
        __import__("my_boosting")
    assert extras.missing_extra(missing.value, "pipeline") is None


def test_a_module_that_no_extra_brings_keeps_its_message() -> None:
    code = compile("import my_models_that_are_not_there", "own.py", "exec")
    with pytest.raises(ModuleNotFoundError) as missing:
        exec(code, {"__name__": "serving.engine.own"})
    assert extras.missing_extra(missing.value, "serve") is None


def test_a_command_of_many_parts_asks_for_all_of_them_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    extras.require_extra("demo", "demo")
    monkeypatch.setattr(extras, "missing_from", lambda _: ["evidently", "feast", "kfp", "ray", "torch"])
    with pytest.raises(UserError, match=r"evidently, feast, kfp and 2 more.*'plumbline\[demo\]'"):
        extras.require_extra("demo", "demo")


def test_brackets_are_text_in_tables_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_rows([{"advice": "pip install 'plumbline[serving]'"}], as_json=False, title="Rows [1]")
    assert isinstance(output.progress_console, Console)
    output.progress_console.print("in folder[bold]")
    said = capsys.readouterr()
    assert "plumbline[serving]" in said.out
    assert "Rows [1]" in said.out
    assert "folder[bold]" in said.err
