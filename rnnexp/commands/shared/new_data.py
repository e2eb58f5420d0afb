"""Commands that give a finished run new texts or new files of series."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnexp.errors import UserError
from rnnexp.printing import complain
from rnnexp.runs.locations import is_location

if TYPE_CHECKING:
    from rnnexp.runs.loading import LoadedRun

# Settings of how a file is read. Others would not fit the trained network.
FILE_SETTINGS = (
    "data.cleaning.",
    "data.datetime_column=",
    "data.datetime_format=",
    "data.decimal=",
    "data.encoding=",
    "data.frequency=",
    "data.input_columns=",
    "data.known=",
    "data.missing=",
    "data.observed=",
    "data.separator=",
    "data.series_column=",
    "data.static=",
    "data.thousands=",
    "data.timestamps=",
    "data.timezone=",
    "data.value_column=",
)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """The arguments for `check_overrides`."""
    parser.add_argument(
        "overrides",
        metavar="data.KEY=VALUE",
        nargs="*",
        help="how to read the file, if it differs from the run's, e.g. data.datetime_format",
    )


def check_overrides(command: str, overrides: Sequence[str], files: Sequence[Path]) -> None:
    """Check that the overrides only say where data are, or how the files are read.

    Raises:
        UserError: one of them says something else.
    """
    for line in overrides:
        if not is_location(line) and not (files and line.startswith(FILE_SETTINGS)):
            settings = ", ".join(key.rstrip("=.") for key in FILE_SETTINGS)
            raise UserError(
                f"{line}: {command} can only change how the file of --csv is read ({settings})"
            )


def load_with_warnings(folder: Path, overrides: Sequence[str]) -> LoadedRun:
    """Load a run. Complain of other steps than those of its training, and of an unfinished run.

    Raises:
        UserError: the run folder is damaged, or has no checkpoint.
    """
    # Late: they import torch, and --help does without.
    from rnnexp.runs.folder.reading import read_config
    from rnnexp.runs.loading import load

    run = load(folder, overrides)
    if any(line.startswith("data.frequency=") for line in overrides):
        trained = read_config(folder).data.frequency
        if run.config.data.frequency != trained:
            complain(
                f"the run was trained on steps of {trained}, not of {run.config.data.frequency}"
            )
    if run.record.get("status") != "completed":
        complain(
            f"{folder} has the status {run.record.get('status')!r}: using the checkpoint so far"
        )
    return run


def complain_of_changes(run: LoadedRun) -> None:
    """Name the files of the run folder that are not as the run wrote them."""
    from rnnexp.runs.folder.digest import changed_files

    for name in changed_files(run.folder, run.record):
        complain(f"{name} of {run.folder} is not as the run wrote it")
