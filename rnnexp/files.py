"""Opens files that are files, of a bounded size. Writes files atomically: JSON that every program
reads, and tables with exact numbers."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

LONGEST_NAME = 200  # bytes; most file systems take 255, and something is added to some

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1 << 36  # bytes of any file; the largest word vectors have a tenth of it


def open_regular(path: Path, largest: int = LARGEST) -> BufferedReader:
    """Open a file for reading, if it is a regular file or a link to one, of at most `largest`
    bytes. A pipe or a device, which may never end, is neither read nor waited for.

    Raises:
        OSError: it cannot be opened, is something else, or is larger.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - the caller closes it
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        fault = errno.EINVAL, "it is a pipe or a device, not a file"
    elif found.st_size > largest:
        fault = errno.EFBIG, f"it has more than {largest:,} bytes, the most that is read"
    else:
        return file
    file.close()
    raise OSError(*fault, str(path))


def read_regular(path: Path, largest: int) -> bytes:
    """The content of a regular file. Raises OSError as `open_regular` does."""
    with open_regular(path, largest) as file:
        return file.read(largest)  # some files of the system say that they are empty, and have more


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # absent on Windows


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON."""
    write_text(path, json_text(content))


def json_text(content: Any, ensure_ascii: bool = True) -> str:
    """Indented JSON, with all digits. JSON has no NaN and no infinity: they become null."""
    plain = _finite(content)
    text = json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=ensure_ascii) + "\n"
    return text.replace("\x7f", "\\u007f")  # the only control character that JSON leaves as it is


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV whose numbers are read back exactly: nine significant digits for a float32,
    the fewest that are enough for a float64 (and no `.0`). NaN is an empty cell."""
    table = table.copy()
    for name in table.select_dtypes("float64"):
        table[name] = table[name].map(lambda x: repr(x).removesuffix(".0"), na_action="ignore")
    return table.to_csv(index=False, float_format="%.9g")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, with line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    with written_beside(path) as beside:
        beside.write_bytes(content)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`. The file written there is renamed to `path` at the
    end of the block, so that `path` is never half-written. An error leaves nothing behind."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove what `written_beside` has left below a folder where its process was killed."""
    for path in folder.rglob(".*"):
        if re.fullmatch(r"\..+\.\d+", path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def can_name_a_file(name: str) -> bool:
    """Whether a file system takes a name: not too long, no control characters, valid Unicode."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return size <= LONGEST_NAME and not re.search(r"[\x00-\x1f\x7f]", name)


def file_name(name: str) -> str:
    """A name as the name of a file: signs that a file system may refuse, as %XX. A name that is too
    long ends in a hash of it."""
    plain = name.encode(errors="backslashreplace").decode()
    safe = re.sub(r'[%/\\:*?"<>|\x00-\x1f\x7f]|^\.', lambda sign: f"%{ord(sign[0]):02X}", plain)
    if can_name_a_file(safe):
        return safe
    kept = safe.encode()[: LONGEST_NAME - 18].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(name.encode(errors='backslashreplace')).hexdigest()[:16]}"
