"""The folders of data sets and of cached results.

The folder of a source is the first that is set of `data.root`, `$RNNEXP_DATA/<source>`, and
`<source>` in the cache folder.
"""

import os
from pathlib import Path

from rnnexp.errors import UserError


def cache_folder() -> Path:
    """The folder for files that can be recreated: $RNNEXP_CACHE, or the user's cache folder."""
    import pooch

    return Path(os.environ.get("RNNEXP_CACHE") or pooch.os_cache("rnnexp"))


def data_folder(source: str, root: str | None) -> Path:
    """The folder of a source, which must exist.

    Raises:
        UserError: the folder does not exist; the message says how to get the data.
    """
    folder = place_of(source, root)
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise UserError(f"data.root={root} is a file: give its folder, data.root={folder.parent}")
    if root is not None:
        raise UserError(f"data.root={root}: there is no such folder")
    raise UserError(
        f"the data of {source} are missing: there is no folder {folder}; run `rnnexp data fetch "
        f"{source}`, or set data.root=FOLDER, or set the environment variable RNNEXP_DATA to a "
        f"folder that contains {source}/"
    )


def place_of(source: str, root: str | None) -> Path:
    """The folder of a source, whether or not it exists."""
    if root is not None:
        return Path(root).expanduser()
    if shared := os.environ.get("RNNEXP_DATA"):
        return Path(shared).expanduser() / source
    return cache_folder() / source
