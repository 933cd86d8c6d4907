"""The whole line as one run: every step is a `plumbline` command of its own, as a user would call it."""
