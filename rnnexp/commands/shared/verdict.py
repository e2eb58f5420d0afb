"""The verdict and exit code of a command that repeats a run or its test."""

from pathlib import Path
from typing import Any

from rnnexp import console
from rnnexp.runs.comparison.repetition import EnvironmentDifferences, verdict

IDENTICAL, DIFFERENT_RESULTS, DIFFERENT_ENVIRONMENT, EDITED = 0, 1, 4, 1  # exit codes


def exit_code(environment: EnvironmentDifferences, results: list[str]) -> int:
    """The exit code. A different environment matters only if results differ."""
    if not results:
        return IDENTICAL
    return DIFFERENT_ENVIRONMENT if environment else DIFFERENT_RESULTS


def show_differences(environment: EnvironmentDifferences, results: list[str]) -> None:
    """Print a line for each difference."""
    for name, (then, now) in environment.items():
        console.show(f"environment   {name}: {then} then, {now} now")
    for sentence in results:
        console.show(f"different     {sentence}")


def show_other_ground(run: dict[str, Any]) -> None:
    """Print what had changed when the run went on all the same."""
    if changed := run.get("other_ground"):
        console.show(f"other ground  it went on after these had changed: {', '.join(changed)}")


def show_edited(names: list[str]) -> None:
    """Print a line for each file of the record that was edited."""
    for name in names:
        console.show(f"edited        {name} is not as the run wrote it")


def show_verdict(
    environment: EnvironmentDifferences, results: list[str], again: Path, edited: list[str]
) -> int:
    """Print all differences and the verdict, and return the exit code.

    edited: the files of the recorded run that are not as it wrote them, which leaves nothing to
    confirm.
    """
    show_edited(edited)
    show_differences(environment, results)
    console.show(f"verdict       {verdict(environment, results, edited)}: {again}")
    return EDITED if edited else exit_code(environment, results)
