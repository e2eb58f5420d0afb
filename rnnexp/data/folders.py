"""Where data lie.

Looked for in this order: `data.root` (the source's own folder), `$RNNEXP_DATA/<source>`, the
per-user cache folder.
"""

import os
from pathlib import Path

from rnnexp.errors import UserError


def cache_folder() -> Path:
    """The folder for what can be had again: $RNNEXP_CACHE, or the user's own one."""
    import pooch

    return Path(os.environ.get("RNNEXP_CACHE") or pooch.os_cache("rnnexp"))


def data_folder(source: str, root: str | None) -> Path:
    """The folder of a source that is there.

    Raises:
        UserError: there is no such folder; the sentence says how to get one.
    """
    folder = place_of(source, root)
    if folder.is_dir():
        return folder
    if root is not None:
        raise UserError(f"data.root={root}: there is no such folder")
    raise UserError(
        f"the folder {folder} for the data of {source} is not there: run `rnnexp data fetch "
        f"{source}`, or name a folder with data.root=FOLDER, or one that holds {source}/ with "
        "the environment variable RNNEXP_DATA"
    )


def place_of(source: str, root: str | None) -> Path:
    """The folder of a source, be it there or not."""
    if root is not None:
        return Path(root).expanduser()
    if shared := os.environ.get("RNNEXP_DATA"):
        return Path(shared).expanduser() / source
    return cache_folder() / source
