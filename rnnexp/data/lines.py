"""Reads text files line by line. Every reader of text goes through `lines` and `decoded`.

A byte-order mark says whether a file is UTF-8 or UTF-16, and is no part of the first line. A line
ends with LF, CRLF or CR. The other separators of Unicode, at which `str.splitlines` splits too,
are ordinary characters.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from rnnexp.errors import UserError

CHUNK = 1 << 14  # bytes read at once
LARGEST = 1 << 31  # bytes of a text file that is kept in memory
LONGEST = 1 << 24  # bytes of a line; bounds the memory for a file without line ends
MARKS = {  # byte-order mark -> encoding
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def lines(
    file: BinaryIO, name: str, longest: int = LONGEST, what: str = "text"
) -> Iterator[tuple[int, bytes]]:
    """The number (from 1) and the bytes of every line from the beginning of a file, with its line
    end. The lines of a file with a mark are UTF-8.

    Args:
        name: the file, for messages. longest: most bytes of a line. what: the expected content.

    Raises:
        UserError: a line is longer than `longest` bytes, or a file with the mark of UTF-16 is not
            UTF-16.
    """
    number, held, size = 0, [b""], 0  # held: the pieces of a line, `size` bytes, without its end
    for piece in _utf8(file, name):
        held.append(piece)
        size += len(piece)
        if size <= longest and b"\n" not in piece and b"\r" not in piece:
            continue
        *whole, rest = b"".join(held).splitlines(keepends=True) or [b""]
        if rest.endswith(b"\n"):  # after a CR, an LF may follow in the next piece
            whole.append(rest)
            rest = b""
        for line in whole:
            number += 1
            yield number, line
        if len(rest) > longest:
            raise UserError(
                f"{name}, line {number + 1}: the line is longer than {longest:,} bytes: this is "
                f"not a file of {what}"
            )
        held, size = [rest], len(rest)
    for line in b"".join(held).splitlines(keepends=True):
        number += 1
        yield number, line


def mark(file: BinaryIO) -> bytes:
    """The byte-order mark at the beginning of a file, or nothing. The file is at its beginning
    again afterwards."""
    file.seek(0)
    beginning = file.read(max(map(len, MARKS)))
    file.seek(0)
    return next((one for one in MARKS if beginning.startswith(one)), b"")


def decoded(line: bytes, encoding: str = "utf-8") -> str | None:
    """A line as text, without a line end; None if it is not text in this encoding.

    Raises:
        LookupError: there is no such encoding.
    """
    try:
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode(encoding)
    except UnicodeError:
        return None
    return None if "\0" in text else text


def _utf8(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The content of a file without its mark, in pieces; UTF-16 becomes UTF-8."""
    found = mark(file)
    file.seek(len(found))
    if MARKS.get(found, "utf-8") == "utf-8":
        yield from iter(lambda: file.read(CHUNK), b"")
        return
    decoder = codecs.getincrementaldecoder(MARKS[found])()
    try:
        for piece in iter(lambda: file.read(CHUNK), b""):
            yield decoder.decode(piece).encode("utf-8")
        decoder.decode(b"", final=True)
    except UnicodeError:
        raise UserError(
            f"{name}: the file begins like UTF-16 text, but is not: save it as UTF-8"
        ) from None
