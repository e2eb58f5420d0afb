"""What the commands that measure share: --quick, and exit codes."""

import argparse
from collections.abc import Callable, Sequence

from experiments import study


def run(
    argv: Sequence[str] | None, description: str | None, quick: str, answer: Callable[[bool], int]
) -> int:
    """Answer a command and return its exit code. quick: what --quick does, which answer is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help=quick)
    options = parser.parse_args(argv)
    return study.exit_code(lambda: answer(options.quick))
