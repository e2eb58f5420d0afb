"""Writes files atomically: JSON that every program reads, and tables with exact numbers."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


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


def file_name(name: str) -> str:
    """A name as the name of a file: signs that a file system may refuse, as %XX."""
    return re.sub(r'[%/\\:*?"<>|\x00-\x1f]|^\.', lambda sign: f"%{ord(sign[0]):02X}", name)
