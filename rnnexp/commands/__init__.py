"""The subcommands. `rnnexp NAME` calls `main` in NAME.py, and `rnnexp --help` shows the first line
of its docstring. shared/ holds what several commands need."""
