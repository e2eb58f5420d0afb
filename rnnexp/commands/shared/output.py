"""Checks where a command is to write, before any work is done."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rnnexp.errors import UserError


def check_output_file(output: Path, files: Sequence[Path] = ()) -> None:
    """Check the file of --output.

    files: that the command reads.

    Raises:
        UserError: it is a folder or an input file, or its folder does not exist or cannot be
            written to.
    """
    parent = output.parent
    fault = ""
    if os.path.isdir(output):
        fault = "it is a folder"
    elif os.path.isfile(parent):
        fault = f"{parent} is a file, not a folder"
    elif not os.path.isdir(parent):
        fault = f"there is no folder {parent}"
    elif not os.access(parent, os.W_OK | os.X_OK):
        fault = f"you may not write to the folder {parent}"
    elif output.resolve() in [file.resolve() for file in files]:
        fault = "this is an input file"
    if fault:
        raise UserError(f"--output {output}: {fault}, choose another file")


def check_output_folder(output: Path, option: str = "--output ") -> None:
    """Check a folder to write to, which need not exist. option: by which it was given.

    Raises:
        UserError: it is a file or inside one, or cannot be written to.
    """
    place = next(one for one in (output, *output.parents, Path()) if os.path.lexists(one))
    if not os.path.isdir(place):
        raise UserError(f"{option}{output}: {place} is a file, choose another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(
            f"{option}{output}: you may not write to the folder {place}, choose another one"
        )


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turn an error of the file system in the block into a sentence.

    Raises:
        UserError: the output cannot be written.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--output {output}: it cannot be written ({reason})") from error
