"""Generates what the chart carries besides its templates; `--check` says what is not current and exits with 1.

    python helm/generate.py [--check | --draft]

values.schema.json, the values table of the chart's README, the table and the picture of docs/network.md, alert rules
and dashboards.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chartgen import network, observability, readme, schema
from chartgen.paths import REPOSITORY, SCHEMA, VALUES, ChartError
from chartgen.values import read_values


def generated(*, draft: bool = False) -> dict[Path, str]:
    """Every generated file's text."""
    values = read_values(VALUES)
    files = {
        SCHEMA: schema.to_json(schema.build_schema(values, draft=draft)),
        readme.README: readme.readme(values),
    }
    return files | network.network_files() | observability.observability_files()


def main() -> int:
    """Writes the files, or compares them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is not current")
    parser.add_argument("--draft", action="store_true", help="let values pass that have no schema yet")
    arguments = parser.parse_args()
    check = arguments.check
    try:
        files = generated(draft=arguments.draft)
    except ChartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    strays = observability.strays(files)
    if strays:
        names = ", ".join(str(path.relative_to(REPOSITORY)) for path in strays)
        sys.stderr.write(f"Nothing generates {names}: remove it, or add it to monitoring/.\n")
        return 1
    if check and stale:
        names = ", ".join(str(path.relative_to(REPOSITORY)) for path in stale)
        sys.stderr.write(f"Not current: {names}. Run 'make chart' and commit.\n")
        return 1
    for path in () if check else stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(REPOSITORY)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
