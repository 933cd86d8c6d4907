"""How fast the generator is, and that its memory does not grow: `python benchmarks/generate.py 1000000`."""

from __future__ import annotations

import sys
import time

from plumbline.data.generator import GeneratorConfig, generate
from plumbline.system import peak_memory_mib


def main(rows: int) -> None:
    """Generates postings, keeps none, and prints time and peak memory."""
    start = time.monotonic()
    made = sum(len(frame) for frame in generate(GeneratorConfig(rows=rows)))
    seconds = time.monotonic() - start
    print(f"{made:,} postings in {seconds:.1f} s ({made / seconds:,.0f}/s), peak memory {peak_memory_mib():.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
