"""Recognises the format of a file of word vectors, and names a file that is something else."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import BinaryIO, Literal

from rnnexp.data.lines import MARKS, lines, mark
from rnnexp.errors import UserError

Format = Literal["glove", "word2vec_text", "word2vec_binary", "fasttext", "gensim"]

BEGINNING = 4096  # bytes that decide
LONGEST = 1 << 20  # bytes of a line or a word; a longer one is an error, and bounds the memory
HEADER = re.compile(rb"(\d{1,9})[ \t]+(\d{1,9})\s*")
UNPACK = "unpack it, and set data.vectors.file to the file of word vectors in it"
TEXT = "download the vectors in a text format"
OTHERS = {  # how other files begin -> what they are, and what to do
    b"PK\x03\x04": ("a zip archive", UNPACK),
    b"BZh": ("a bzip2 file", UNPACK),
    b"\xfd7zXZ\0": ("an xz file", UNPACK),
    b"\x28\xb5\x2f\xfd": ("a zstd file", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-zip archive", UNPACK),
    b"\xba\x16\x4f\x2f": (
        "a fastText model (.bin), which holds parts of words",
        "take the file .vec of the same vectors, or write one with `fasttext print-word-vectors`",
    ),
    b"\x93NUMPY": ("a NumPy array without its words", TEXT),
    b"\x89HDF": ("an HDF5 file", TEXT),
    b"SQLite format 3": ("an SQLite database", TEXT),
    b"version https://git-lfs": (
        "a Git LFS pointer in place of the file",
        "get the file itself with `git lfs pull`",
    ),
}
TAR = (257, b"ustar")  # where a tar archive says so
PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)


def recognise(path: Path, file: BinaryIO) -> Format:
    """The format, inferred from the first bytes of the content. The file is at its beginning
    afterwards.

    Raises:
        UserError: the file is empty, or something else than word vectors.
    """
    file.seek(0)
    beginning = file.read(BEGINNING)
    _refuse_others(path, beginning)
    if beginning.startswith(b"\x80"):
        file.seek(0)
        return "gensim"
    is_wide = MARKS.get(mark(file), "utf-8") != "utf-8"
    _, first = next(lines(file, str(path), LONGEST, "word vectors"), (0, b""))
    file.seek(0)
    if not beginning.strip() or not first:
        raise UserError(f"{path}: the file is empty")
    rest = b"" if is_wide else beginning[len(first) :]
    if HEADER.fullmatch(first):
        is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in rest)
        return "word2vec_text" if is_text else "word2vec_binary"
    if b"\0" in first + rest:
        raise UserError(
            f"{path}: this is a binary file of an unknown kind, not a file of word vectors: {TEXT}"
        )
    return "glove"


def _refuse_others(path: Path, beginning: bytes) -> None:
    kind = next((OTHERS[magic] for magic in OTHERS if beginning.startswith(magic)), None)
    if beginning[TAR[0] :].startswith(TAR[1]):
        kind = "a tar archive", UNPACK
    if PAGE.match(beginning):
        kind = "a web page", "download the file again"
    if kind is not None:
        what, to_do = kind
        raise UserError(f"{path} is {what}{_members(path)}, not a file of word vectors: {to_do}")


def _members(path: Path) -> str:
    """The files in a zip archive, for a message."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as packed:
        names = [name for name in packed.namelist() if not name.endswith("/")]
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f" of {', '.join(map(ascii, names[:5]))}{more}" if names else ""
