"""From bytes to text: encodings, byte-order marks, and files that are no text."""

import codecs
from pathlib import Path

from rnnexp.config.typed import typed
from rnnexp.data.lines import LARGEST
from rnnexp.errors import UserError
from rnnexp.files import read_regular

MARKS = {  # the longer marks first: that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OTHER_FILES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"PAR1": "a Parquet file",
    b"\x89HDF": "an HDF5 file",
}


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of text.

    Raises:
        UserError: the file cannot be read, is empty, or is an archive or a workbook.
    """
    try:
        content = read_regular(path, LARGEST)
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    for magic, what in OTHER_FILES.items():
        if content.startswith(magic):
            raise UserError(f"{path}: this is {what}: unpack it, or save it as CSV")
    if not content.strip():
        raise UserError(f"{path}: the file is empty")
    return content


def decode(path: Path, content: bytes, encoding: str = "utf-8") -> str:
    """The text of a file. A byte-order mark wins over `encoding`.

    Raises:
        UserError: the bytes are not text in this encoding.
    """
    marked = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    encoding = marked or encoding
    line = 1
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    except UnicodeError:  # UTF-16 without a byte-order mark
        pass
    else:
        if "\0" not in text:
            return text
    raise UserError(
        f"{path}, line {line}: the file is not {encoding.upper()} text; save it as UTF-8, or set "
        f"{typed('data.encoding', guess(content))} if that is its encoding"
    )


def guess(content: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8."""
    sample = content[:1000]
    if sample.count(0) > len(sample) // 3:  # every other byte of plain text in UTF-16
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    # Of these bytes, Windows has letters and signs, and Latin-1 has control characters.
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in content) else "latin-1"
