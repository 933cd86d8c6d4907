"""What the commands that measure one endpoint share: options, errors, where results go, progress."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plumbline.errors import PlumblineError

OUT = Path("build/bench")

Result = Mapping[str, Any]


def options(description: str | None, *, port: int) -> argparse.ArgumentParser:
    """`--home`, `--port`, `--out` and `--json`; a command adds its own.

    Args:
        description: The command's docstring.
        port: Where the endpoint listens unless asked otherwise.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=_home, default=_home(os.environ.get("PLUMBLINE_HOME", "build/home")))
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def report(
    name: str,
    chosen: argparse.Namespace,
    run: Callable[[argparse.Namespace], Result],
    text: Callable[[Result], str],
) -> Result:
    """Runs a benchmark, writes its result to `--out`, prints it; ends the process where it cannot be run.

    Args:
        name: Of the benchmark, and of its file.
        chosen: The options.
        run: Gives the result.
        text: The result for people.
    """
    try:
        result = run(chosen)
    except PlumblineError as error:
        say(f"{name} benchmark: {error}")
        sys.exit(error.exit_code)
    chosen.out.mkdir(parents=True, exist_ok=True)
    content = json.dumps(result, indent=2)
    (chosen.out / f"{name}.json").write_text(content + "\n", encoding="utf-8")
    print(content if chosen.json else text(result))
    return result


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _home(text: str) -> Path:
    return Path(text).absolute()
