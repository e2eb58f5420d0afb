"""Reads word vectors from the files that the usual programs write.

    glove           rows `word v1 .. vD`, no header
    word2vec_text   a header `words D`, then such rows; fasttext (`.vec`) is the same
    word2vec_binary such a header, then each word, a space and D float32, little endian
    gensim          KeyedVectors, as gensim's `save` writes them

A file goes by as a stream, packed by gzip or not, and only the rows that a vocabulary needs are
kept. What is not needed is checked as far as that costs little: how many rows there are, and that
none has too few numbers.
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
LONGEST = 1 << 20  # bytes of a line, or of a word: more are no vectors, and never all in memory


def read_vectors(
    path: Path, vocabulary: Sequence[str], dimension: int, format: Format | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of a vocabulary's words.

    Args:
        vocabulary: V different words.
        dimension: D, what the file must have.
        format: None: found out from the content.

    Returns:
        vectors (V, D) float32, zeros where the file has no such word, and known (V,) bool. Where
        the file has a word twice, its first row counts.

    Raises:
        UserError: the file is not what it should be, told with its line where it has lines, or
            has none of the words.
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
        raise UserError(f"{path}: the file is damaged, or a part is missing ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    if not wanted.known.any():
        raise UserError(
            f"{path}: the file has none of the {len(vocabulary):,} words of the vocabulary: take "
            "one whose words are of the same language and written in the same way"
        )
    return wanted.vectors, wanted.known


class _Wanted:
    """The vectors of a vocabulary's words, filled in as a file goes by."""

    def __init__(self, vocabulary: Sequence[str], dimension: int) -> None:
        self.dimension = dimension
        encoded = [word.encode("utf-8", "surrogatepass") for word in vocabulary]
        self.rows = {word: row for row, word in enumerate(encoded)}
        self.beginnings = {word.split(b" ", 1)[0] for word in encoded}
        self.vectors = np.zeros((len(vocabulary), dimension), np.float32)
        self.known = np.zeros(len(vocabulary), dtype=bool)

    def take(self, word: bytes, values: np.ndarray, place: str) -> None:
        """values: (D,), of any precision. The first row of a word counts."""
        with np.errstate(over="ignore"):  # beyond float32: an infinity, and told as such
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
    """The format, from the beginning of the content."""
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
    """The number of rows that the first line announces."""
    header = re.fullmatch(rb"(\d{1,9}) (\d{1,9})\s*", file.readline(LONGEST))
    if header is None:
        raise UserError(f"{path}, line 1: a header of two whole numbers, `words dimension`, is due")
    _compare(path, int(header[2]), dimension)
    return int(header[1])


def _compare(path: Path, found: int, dimension: int) -> None:
    if found != dimension:
        raise UserError(
            f"data.vectors.dimension is {dimension}, {path} has {found}: set "
            f"data.vectors.dimension={found}, or name another file with data.vectors.file=FILE"
        )


def _show(word: bytes) -> str:
    return repr(word[:50].decode("utf-8", "replace"))


# --- text ---------------------------------------------------------------------------------------


def _read_text(path: Path, file: BinaryIO, wanted: _Wanted, announced: int | None = None) -> None:
    """Rows `word v1 .. vD`. A word may have spaces in it, so a row is split from its right."""
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
                raise UserError(f"{place}: a word and its values are due, or a header")
            _compare(path, spaces, dimension)
        rows += 1
        if spaces < dimension:
            raise UserError(
                f"{place}: {spaces} values where {dimension} are expected: get the file again"
            )
        if spaces == dimension and line[: line.index(b" ")] not in wanted.beginnings:
            continue
        word, *values = line.rsplit(b" ", dimension)
        if spaces > dimension and _is_number(word.rpartition(b" ")[2]):
            raise UserError(
                f"{place}: more values than the {dimension} that are expected: get the file again"
            )
        if word in wanted.rows:
            wanted.take(word, _numbers(values, place), place)
    if announced is not None and rows != announced:
        raise UserError(f"{path}: line 1 announces {announced:,} words, and {rows:,} are there")


def _unended(line: bytes) -> str:
    if len(line) == LONGEST:
        return "the line has no end: these are no word vectors"
    return "the last line is torn (it has no line end): get the file again"


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
        raise UserError(f"{place}: {_show(wrong)} is no number") from None


# --- binary -------------------------------------------------------------------------------------


def _read_binary(path: Path, file: BinaryIO, wanted: _Wanted, announced: int) -> None:
    """Each word, a space and its float32 values; some programs end a row with a line end."""
    size = 4 * wanted.dimension
    buffer, start = b"", 0  # what is read, and where in it the next row starts
    for number in range(1, announced + 1):
        place = f"{path}, word {number:,} of {announced:,}"
        while (space := buffer.find(b" ", start)) < 0 or space + 1 + size > len(buffer):
            if space < 0 and len(buffer) - start > LONGEST:
                raise UserError(f"{place}: the word has no end: these are no word vectors")
            more = file.read(CHUNK)
            if not more:
                raise UserError(f"{place}: the file ends in it; get the file again")
            buffer, start = buffer[start:] + more, 0
        word = buffer[start:space].lstrip(b"\n")
        start = space + 1 + size
        if word in wanted.rows:
            wanted.take(word, np.frombuffer(buffer, "<f4", wanted.dimension, space + 1), place)
    if (buffer[start:] + file.read(CHUNK)).strip(b"\n"):
        raise UserError(f"{path}: line 1 announces {announced:,} words, and more are there")


def _read_gensim(path: Path, file: BinaryIO, wanted: _Wanted) -> None:
    words, vectors = read_keyed_vectors(path, file)
    _compare(path, vectors.shape[1], wanted.dimension)
    for number, key in enumerate(words):
        if not isinstance(key, str):
            continue
        word = key.encode("utf-8", "surrogatepass")
        if word in wanted.rows:
            wanted.take(word, vectors[number], f"{path}, word {number + 1:,}")
