"""Names of files and folders that become names of series, classes and categories."""

from pathlib import Path

from rnnexp.errors import UserError


def in_utf8(name: str, path: Path) -> str:
    """The name, unchanged, if it can be written to the files of a run, which are UTF-8.

    Raises:
        UserError: its bytes are not UTF-8.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"{path}: this name is not UTF-8, and the data are called by it: rename it"
        ) from error
    return name
