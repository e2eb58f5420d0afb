"""Writes files atomically."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, with line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    with written_beside(path) as beside:
        beside.write_bytes(content)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`. The file written there is renamed to `path` at the
    end of the block, so that `path` is never half-written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    yield beside
    beside.replace(path)


def file_name(name: str) -> str:
    """A name as the name of a file: signs that a file system may refuse, as %XX."""
    return re.sub(r'[%/\\:*?"<>|\x00-\x1f]|^\.', lambda sign: f"%{ord(sign[0]):02X}", name)
