"""The subcommands. `rnnexp NAME` calls `main` in NAME.py, and `rnnexp --help` shows the first line
of its docstring. Files whose names begin with an underscore hold shared code."""
