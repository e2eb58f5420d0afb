"""What a command that repeated something prints and returns."""

from pathlib import Path

from rnnexp import console
from rnnexp.runs.comparison.repetition import Ground

IDENTICAL, DIFFERENT_NUMBERS, DIFFERENT_GROUND = 0, 1, 4  # exit codes


def exit_code(ground: Ground, results: list[str]) -> int:
    """The ground matters where results differ."""
    if not results:
        return IDENTICAL
    return DIFFERENT_GROUND if ground else DIFFERENT_NUMBERS


def show_differences(ground: Ground, results: list[str]) -> None:
    """A line for everything that differs."""
    for name, (then, now) in ground.items():
        console.show(f"other ground  {name}: {then} then, {now} now")
    for sentence in results:
        console.show(f"different     {sentence}")


def show_verdict(ground: Ground, results: list[str], again: Path) -> int:
    """Print what differs and the verdict, and return the exit code."""
    show_differences(ground, results)
    where = f"on other ground ({', '.join(ground)})" if ground else "on the same ground"
    if results:
        console.show(f"verdict       different numbers {where}: {again}")
    else:
        console.show(f"verdict       identical{' ' + where if ground else ''}: {again}")
    return exit_code(ground, results)
