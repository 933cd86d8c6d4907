"""Generated parts of hand-written pages: what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""

from __future__ import annotations

from pathlib import Path

from chartgen.paths import REPOSITORY, ChartError


def put(path: Path, name: str, content: str) -> str:
    """The page with new content between the marks.

    Raises:
        ChartError: The page has no such marks.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ChartError(f"{path.relative_to(REPOSITORY)} needs the lines <!-- {name} --> and <!-- /{name} --> once.")
    before, _, rest = text.partition(start)
    return f"{before}{start}{content.rstrip()}\n{end}{rest.partition(end)[2]}"
