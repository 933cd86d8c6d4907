"""Entry point of the `plumbline` command, and of `python -m plumbline`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; a Ctrl-C may come while it is still being imported, and is told as it is later."""
    try:
        from plumbline.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("plumbline: Stopped by Ctrl-C.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
