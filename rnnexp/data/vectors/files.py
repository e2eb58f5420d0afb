"""Reads word vectors in the common file formats.

    glove           rows `word v1 .. vD`, separated by blanks or tabs, no header
    word2vec_text   a header `words D`, then rows as above; fasttext (`.vec`) is the same
    word2vec_binary a header `words D`, then each word, a space and D little-endian float32
    gensim          KeyedVectors, as written by gensim's `save`

A file is read as a stream, with or without gzip, and only the rows of the vocabulary are kept. The
other rows get cheap checks only: the number of rows, and that no row has too few values. A word may
contain blanks: the last D fields of a row are its values.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from rnnexp.data.lines import lines
from rnnexp.data.vectors.gensim import read_keyed_vectors
from rnnexp.data.vectors.recognising import HEADER, LONGEST, Format, recognise
from rnnexp.errors import UserError
from rnnexp.files import open_regular

GZIP = b"\x1f\x8b"
CHUNK = 1 << 18  # bytes read at once
SAMPLE = 20  # rows that tell the dimension of a text file


class Found(NamedTuple):
    """The vectors of V words in a file.

    notes: sentences on what is unusual in the file, and how it was read.
    """

    vectors: np.ndarray  # (V, D) float32; zeros for words that are not in the file
    known: np.ndarray  # (V,) bool: whether the word is in the file
    notes: list[str]


def read_vectors(
    path: Path, vocabulary: Sequence[str], dimension: int, format: Format | None = None
) -> Found:
    """The vectors of the words of a vocabulary.

    Args:
        vocabulary: V different words.
        dimension: D; the file must have vectors of this dimension.
        format: the format of the file; None: inferred from the content.

    If the file has a word twice, its first row counts.

    Raises:
        UserError: the file cannot be read, is something else, or is malformed (with the line, in
            text formats), its dimension is not D, or it has none of the words.
    """
    wanted = _Wanted(vocabulary, dimension)
    try:
        with _open(path) as file:
            match _agreed(path, format, recognise(path, file)):
                case "glove":
                    _read_text(path, file, wanted, has_header=False)
                case "word2vec_text" | "fasttext":
                    _read_text(path, file, wanted, has_header=True)
                case "word2vec_binary":
                    announced = _header(path, file.readline(LONGEST), dimension)
                    _read_binary(path, file, wanted, announced)
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
    return Found(wanted.vectors, wanted.known, wanted.notes)


def _agreed(path: Path, given: Format | None, recognised: Format) -> Format:
    """The given format, unless the content is certainly of another."""
    wrong = {
        "glove": recognised != "glove",
        "word2vec_binary": recognised != "word2vec_binary",
        "gensim": recognised != "gensim",
    }
    if given is not None and wrong.get(given, recognised == "gensim"):
        raise UserError(
            f"data.vectors.format is {given}, but {path} looks like {recognised}: set "
            "data.vectors.format=null, to have it detected"
        )
    return given or recognised


class _Wanted:
    """The vectors of the words of a vocabulary, filled in while a file is read."""

    def __init__(self, vocabulary: Sequence[str], dimension: int) -> None:
        self.dimension = dimension
        encoded = [word.encode("utf-8", "surrogatepass") for word in vocabulary]
        self.rows = {word: row for row, word in enumerate(encoded)}
        self.beginnings = {word.split(b" ", 1)[0] for word in encoded}
        self.vectors = np.zeros((len(vocabulary), dimension), np.float32)
        self.known = np.zeros(len(vocabulary), dtype=bool)
        self.notes: list[str] = []
        self.decimals: set[int] = set()  # of the values in the first rows of a text file

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
    with open_regular(path) as file:
        packed = file.read(len(GZIP)) == GZIP
    if packed:
        return io.BufferedReader(gzip.open(path), CHUNK)
    return io.BufferedReader(open_regular(path), CHUNK)


def _header(path: Path, line: bytes, dimension: int) -> int:
    """The number of words according to the header, whose dimension is checked."""
    header = HEADER.fullmatch(line)
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


def _read_text(path: Path, file: BinaryIO, wanted: _Wanted, has_header: bool) -> None:
    """Read rows `word v1 .. vD`, split from the right, since a word may contain blanks."""
    dimension, rows, last = wanted.dimension, 0, b"\n"
    number = 0
    numeric, example = 0, ""  # rows whose word ends in a number, and the first of them
    numbered = lines(file, str(path), LONGEST, "word vectors")
    announced = _header(path, next(numbered)[1], dimension) if has_header else None
    for number, line in _of_dimension(path, numbered, wanted):
        last = line
        first, _, _ = line.partition(b" ")
        if line.count(b" ") == dimension and b"\t" not in line and first not in wanted.beginnings:
            rows += 1  # the fast way for most rows
            continue
        fields = line.split()
        if not fields:
            continue
        rows += 1
        place = f"{path}, line {number}"
        if len(fields) <= dimension:
            if len(fields) == dimension and line[:1].isspace():  # the word is a blank
                continue
            raise UserError(f"{place}: {_too_few(line, len(fields) - 1, dimension)}")
        word, *values = line.strip().rsplit(None, dimension)
        if len(fields) > dimension + 1 and _ends_in_number(fields[:-dimension], dimension, place):
            example = example or f"{_show(word)} (line {number})"
            numeric += 1
        if word in wanted.rows:
            wanted.take(word, _numbers(values, place), place)
    if numeric:
        wanted.notes.append(
            f"{path.name}: the words of {numeric:,} rows end in a number after a blank, such as "
            f"{example}; the last {dimension} numbers of a row are its values"
        )
    if announced is not None and rows != announced:
        _note_header(path, announced, rows, wanted)
    if last.strip() and not last.endswith((b"\n", b"\r")):
        _check_end(last.split()[-1], wanted.decimals, f"{path}, line {number}")
        wanted.notes.append(
            f"{path.name}: the last line has no line end; if the download was interrupted, fetch "
            "the file again"
        )


def _of_dimension(
    path: Path, rows: Iterator[tuple[int, bytes]], wanted: _Wanted
) -> Iterator[tuple[int, bytes]]:
    """The rows, after a check that the first ones have the right dimension."""
    dimension, sample = wanted.dimension, list(islice(rows, SAMPLE))
    whole = [line.split() for _, line in sample if line.endswith((b"\n", b"\r"))]
    wanted.decimals = {_decimals(value) for fields in whole for value in fields[-dimension:]}
    counts = Counter(_count_values(line.split()) for _, line in sample if line.strip())
    if sample and not sample[-1][1].endswith((b"\n", b"\r")):  # it may be cut off
        found = _count_values(sample[-1][1].split())
        counts[found] -= found < dimension
    if counts[dimension] < max(counts.values(), default=0):
        [(found, _)] = counts.most_common(1)
        if found < 1:
            number = next(number for number, line in sample if line.strip())
            raise UserError(f"{path}, line {number}: expected a word and its values, or a header")
        _compare(path, found, dimension)
    return chain(sample, rows)


def _count_values(fields: list[bytes]) -> int:
    """The numbers at the end of a row; its first field is a word in any case."""
    ends = (place for place in range(len(fields), 1, -1) if not _is_number(fields[place - 1]))
    return len(fields) - next(ends, 1)


def _ends_in_number(word: list[bytes], dimension: int, place: str) -> bool:
    """Whether a word with blanks ends in a number, such as `Windows 95`.

    Raises:
        UserError: the number is rather a value too many, or the word holds the values of a row.
    """
    runs = (len(list(run)) for numeric, run in groupby(word[1:], _is_number) if numeric)
    if max(runs, default=0) >= dimension:
        raise UserError(f"{place}: two rows are in one line: download the file again")
    if not _is_number(word[-1]):
        return False
    if not word[-1].isdigit():
        raise UserError(
            f"{place}: more than the expected {dimension} values: download the file again; or, if "
            f"{_show(b' '.join(word))} is a word, remove the line"
        )
    return True


def _check_end(last: bytes, decimals: set[int], place: str) -> None:
    """Check that a value at the end of a file without a line end is not cut off, as far as can be
    told: it ends in a digit, and has as many decimals as all values if those have equally many."""
    cut_off = len(decimals) == 1 and _decimals(last) < max(decimals)
    if cut_off or not last[-1:].isdigit():
        raise UserError(
            f"{place}: the last line is incomplete ({_show(last)} is cut off): download the file "
            "again"
        )


def _decimals(value: bytes) -> int:
    return len(value.partition(b".")[2])


def _note_header(path: Path, announced: int, rows: int, wanted: _Wanted) -> None:
    """A header that is off by one may count itself, or a word that was left out.

    Raises:
        UserError: it is off by more.
    """
    sentence = f"the file has {rows:,} words, but its header says {announced:,}"
    if abs(rows - announced) > 1:
        raise UserError(
            f"{path}: {sentence}: download the file again, or, if it is whole, write {rows} "
            f"{wanted.dimension} in its first line"
        )
    wanted.notes.append(f"{path.name}: {sentence}")


def _too_few(line: bytes, found: int, dimension: int) -> str:
    values = f"{found} values, expected {dimension}"
    if line.endswith((b"\n", b"\r")):
        return f"{values}: download the file again"
    return f"the last line is incomplete ({values}): download the file again"


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
