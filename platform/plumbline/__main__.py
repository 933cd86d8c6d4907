"""`python -m plumbline` is the `plumbline` command."""

from plumbline.cli.main import main

main()
