"""Reads word vectors in the common file formats.

    glove           rows `word v1 .. vD`, no header
    word2vec_text   a header `words D`, then rows as above; fasttext (`.vec`) is the same
    word2vec_binary a header `words D`, then each word, a space and D little-endian float32
    gensim          KeyedVectors, as written by gensim's `save`

A file is read as a stream, with or without gzip, and only the rows of the vocabulary are kept. The
other rows get cheap checks only: the number of rows, and that no row has too few values.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from rnnexp.data.vectors.gensim import read_keyed_vectors
from rnnexp.errors import UserError

Format = Literal["glove", "word2vec_text", "word2vec_binary", "fasttext", "gensim"]

GZIP = b"\x1f\x8b"
CHUNK = 1 << 18  # bytes read at once
LONGEST = 1 << 20  # bytes of a line or a word; a longer one is an error, and bounds the memory


def read_vectors(
    path: Path, vocabulary: Sequence[str], dimension: int, format: Format | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of the words of a vocabulary.

    Args:
        vocabulary: V different words.
        dimension: D; the file must have vectors of this dimension.
        format: the format of the file; None: inferred from the content.

    Returns:
        vectors (V, D) float32, zeros for words that are not in the file, and known (V,) bool. If
        the file has a word twice, its first row counts.

    Raises:
        UserError: the file cannot be read or is malformed (with the line, in text formats), its
            dimension is not D, or it has none of the words.
    """
    wanted = _Wanted(vocabulary, dimension)
    try:
        with _open(path) as file:
            match format or _recognise(path, file):
                case "glove":
                    _read_text(path, file, wanted)
                case "word2vec_text" | "fasttext":
                    _read_text(path, file, wanted, _read_header(path, file, dimension))
                case "word2vec_binary":
                    _read_binary(path, file, wanted, _read_header(path, file, dimension))
                case "gensim":
                    _read_gensim(path, file, wanted)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: the file is damaged or incomplete ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    if not wanted.known.any():
        raise UserError(
            f"{path}: the file has none of the {len(vocabulary):,} words of the vocabulary: use a "
            "file of the same language and the same tokenisation"
        )
    return wanted.vectors, wanted.known


class _Wanted:
    """The vectors of the words of a vocabulary, filled in while a file is read."""

    def __init__(self, vocabulary: Sequence[str], dimension: int) -> None:
        self.dimension = dimension
        encoded = [word.encode("utf-8", "surrogatepass") for word in vocabulary]
        self.rows = {word: row for row, word in enumerate(encoded)}
        self.beginnings = {word.split(b" ", 1)[0] for word in encoded}
        self.vectors = np.zeros((len(vocabulary), dimension), np.float32)
        self.known = np.zeros(len(vocabulary), dtype=bool)

    def take(self, word: bytes, values: np.ndarray, place: str) -> None:
        """Keep the first vector of a word. values: (D,), of any precision."""
        with np.errstate(over="ignore"):  # an overflow gives inf, which is refused below
            values = values.astype(np.float32)
        row = self.rows[word]
        if not np.isfinite(values).all():
            raise UserError(f"{place}: a value of {_show(word)} is not finite")
        if not self.known[row]:
            self.vectors[row], self.known[row] = values, True


# --- the file -----------------------------------------------------------------------------------


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    if packed:
        return io.BufferedReader(gzip.open(path), CHUNK)
    return path.open("rb", buffering=CHUNK)


def _recognise(path: Path, file: BinaryIO) -> Format:
    """The format, inferred from the first bytes of the content."""
    beginning = file.read(4096)
    file.seek(0)
    if not beginning.strip():
        raise UserError(f"{path}: the file is empty")
    if beginning.startswith(b"\x80"):
        return "gensim"
    first, _, rest = beginning.partition(b"\n")
    if not re.fullmatch(rb"\d{1,9} \d{1,9}\s*", first):
        return "glove"
    is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in rest)
    return "word2vec_text" if is_text else "word2vec_binary"


def _read_header(path: Path, file: BinaryIO, dimension: int) -> int:
    """The number of words according to the header, whose dimension is checked."""
    header = re.fullmatch(rb"(\d{1,9}) (\d{1,9})\s*", file.readline(LONGEST))
    if header is None:
        raise UserError(f"{path}, line 1: expected a header of two integers, `words dimension`")
    _compare(path, int(header[2]), dimension)
    return int(header[1])


def _compare(path: Path, found: int, dimension: int) -> None:
    if found != dimension:
        raise UserError(
            f"data.vectors.dimension is {dimension}, but {path} has dimension {found}: set "
            f"data.vectors.dimension={found}, or another file with data.vectors.file=FILE"
        )


def _show(word: bytes) -> str:
    return repr(word[:50].decode("utf-8", "replace"))


# --- text ---------------------------------------------------------------------------------------


def _read_text(path: Path, file: BinaryIO, wanted: _Wanted, announced: int | None = None) -> None:
    """Read rows `word v1 .. vD`, split from the right, since a word may contain spaces."""
    dimension, rows = wanted.dimension, 0
    lines = iter(partial(file.readline, LONGEST), b"")
    for number, line in enumerate(lines, start=1 if announced is None else 2):
        place = f"{path}, line {number}"
        if not line.endswith(b"\n"):
            raise UserError(f"{place}: {_unended(line)}")
        line = line.rstrip()
        if not line:
            continue
        spaces = line.count(b" ")
        if announced is None and rows == 0:
            if not _is_number(line.rpartition(b" ")[2]):
                raise UserError(f"{place}: expected a word and its values, or a header")
            _compare(path, spaces, dimension)
        rows += 1
        if spaces < dimension:
            raise UserError(
                f"{place}: {spaces} values, expected {dimension}: download the file again"
            )
        if spaces == dimension and line[: line.index(b" ")] not in wanted.beginnings:
            continue
        word, *values = line.rsplit(b" ", dimension)
        if spaces > dimension and _is_number(word.rpartition(b" ")[2]):
            raise UserError(
                f"{place}: more than the expected {dimension} values: download the file again"
            )
        if word in wanted.rows:
            wanted.take(word, _numbers(values, place), place)
    if announced is not None and rows != announced:
        raise UserError(
            f"{path}: the file has {rows:,} words, but its header says {announced:,}: download the "
            "file again"
        )


def _unended(line: bytes) -> str:
    if len(line) == LONGEST:
        return f"the line is longer than {LONGEST:,} bytes: this is not a file of word vectors"
    return "the last line is incomplete (it has no line end): download the file again"


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(values: list[bytes], place: str) -> np.ndarray:
    try:
        return np.array(list(map(float, values)))
    except ValueError:
        wrong = next(value for value in values if not _is_number(value))
        raise UserError(f"{place}: {_show(wrong)} is not a number") from None


# --- binary -------------------------------------------------------------------------------------


def _read_binary(path: Path, file: BinaryIO, wanted: _Wanted, announced: int) -> None:
    """Read each word, a space and its float32 values; some programs add a line end to each row."""
    size = 4 * wanted.dimension
    buffer, start = b"", 0  # bytes read so far, and the start of the next row among them
    for number in range(1, announced + 1):
        place = f"{path}, word {number:,} of {announced:,}"
        while (space := buffer.find(b" ", start)) < 0 or space + 1 + size > len(buffer):
            if space < 0 and len(buffer) - start > LONGEST:
                raise UserError(
                    f"{place}: the word is longer than {LONGEST:,} bytes: this is not a file of "
                    "word vectors"
                )
            more = file.read(CHUNK)
            if not more:
                raise UserError(f"{place}: the file ends here: download the file again")
            buffer, start = buffer[start:] + more, 0
        word = buffer[start:space].lstrip(b"\n")
        start = space + 1 + size
        if word in wanted.rows:
            wanted.take(word, np.frombuffer(buffer, "<f4", wanted.dimension, space + 1), place)
    if (buffer[start:] + file.read(CHUNK)).strip(b"\n"):
        raise UserError(
            f"{path}: the file has more words than its header says ({announced:,}): download the "
            "file again"
        )


def _read_gensim(path: Path, file: BinaryIO, wanted: _Wanted) -> None:
    words, vectors = read_keyed_vectors(path, file)
    _compare(path, vectors.shape[1], wanted.dimension)
    for number, key in enumerate(words):
        if not isinstance(key, str):
            continue
        word = key.encode("utf-8", "surrogatepass")
        if word in wanted.rows:
            wanted.take(word, vectors[number], f"{path}, word {number + 1:,}")
