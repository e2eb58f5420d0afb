"""Reads gensim's KeyedVectors without gensim, and without executing code from the pickle.

`KeyedVectors.save(FILE)` writes a pickle, and a large matrix beside it as FILE.vectors.npy. `NAMES`
lists every global that such a pickle may refer to. None is imported: an inert record takes its
place and keeps the arguments of the call, from which the words and numbers are read.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.lib.format import open_memmap

from rnnexp.errors import UserError
from rnnexp.files import open_regular

NAMES = {
    "gensim.models.keyedvectors.KeyedVectors",
    "gensim.models.keyedvectors.Word2VecKeyedVectors",  # gensim 3
    "gensim.models.keyedvectors.Vocab",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",  # numpy 1
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.multiarray._reconstruct",  # numpy 2
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "_codecs.encode",  # bytes, in protocol 2
    "builtins.frozenset",
    "__builtin__.frozenset",
}
CHUNK = 1 << 20  # bytes read at once
LARGEST = 1 << 30  # bytes of the pickle; three million words need a tenth of this


def read_keyed_vectors(path: Path, file: BinaryIO) -> tuple[list[Any], np.ndarray]:
    """n keys (usually words) and their vectors (n, D) of any float type, in the order of the file.

    Vectors in a file of their own are memory-mapped.

    Raises:
        UserError: the file does not hold KeyedVectors, or is damaged.
    """
    state = _unpickle(path, file)
    words = state.get("index_to_key", state.get("index2word"))  # gensim 4, gensim 3
    vectors = _matrix(path, state.get("vectors"))
    if not isinstance(words, list) or len(words) != len(vectors):
        raise UserError(f"{path}: these KeyedVectors do not have one vector for each word")
    return words, vectors


# --- the pickle ---------------------------------------------------------------------------------


class _Record:
    """Takes the place of an object: keeps its constructor arguments and its state."""

    args: tuple[Any, ...]
    state: Any = None

    def __new__(cls, *args: Any) -> _Record:
        record = super().__new__(cls)
        record.args = args
        return record

    def __init__(self, *args: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Words(dict):
    """A dictionary whose keys are str or int; hashing a nested key could take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | int):
            raise pickle.UnpicklingError("a dictionary has a key that is not a word")
        super().__setitem__(key, value)


class _Refused(Exception):
    """The pickle refers to a global that is not in `NAMES`."""


# The unpickler in Python, since the one in C allocates whatever size a file declares.
_InPython: Any = pickle._Unpickler


class _Unpickler(_InPython):
    """Creates strings, numbers, containers and records, and nothing else."""

    dispatch: ClassVar[dict[int, Any]] = {
        **_InPython.dispatch,
        pickle.EMPTY_DICT[0]: lambda self: self.append(_Words()),
        pickle.FROZENSET[0]: _InPython.load_tuple,
        pickle.BYTEARRAY8[0]: _InPython.load_binbytes8,
    }
    for unused in (pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.DICT, pickle.EMPTY_SET):
        del dispatch[unused[0]]

    def find_class(self, module: str, name: str) -> type:
        if f"{module}.{name}" not in NAMES:
            raise _Refused(repr(f"{module}.{name}"[:100]))
        return type(name, (_Record,), {})  # a new class, so no change to it outlives the file


def _unpickle(path: Path, file: BinaryIO) -> dict[str, Any]:
    """The attributes of the KeyedVectors."""
    content = b"".join(_chunks(path, file))
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except _Refused as refused:
        raise UserError(
            f"{path}: the pickle refers to {refused}, but only gensim's KeyedVectors can be read; "
            "save other models with save_word2vec_format"
        ) from None
    except Exception as error:  # a malicious stream may raise anything
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"{path}: the pickle is damaged ({why})") from None
    if type(found).__name__ not in ("KeyedVectors", "Word2VecKeyedVectors"):
        raise UserError(f"{path}: the pickle does not hold gensim's KeyedVectors")
    return found.state if isinstance(found.state, dict) else {}


def _chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    left = LARGEST
    while chunk := file.read(CHUNK):
        left -= len(chunk)
        if left < 0:
            raise UserError(
                f"{path}: the pickle has more than {LARGEST:,} bytes, the most that is read"
            )
        yield chunk


# --- the numbers --------------------------------------------------------------------------------


def _matrix(path: Path, vectors: Any) -> np.ndarray:
    """The vectors (n, D), from the pickle or from the .npy file beside it."""
    beside = matrix_file(path)
    try:
        matrix = _array(vectors) if vectors is not None else _mapped(beside)
    except FileNotFoundError:
        raise UserError(f"{beside}: the file is missing, and {path} needs it") from None
    except (ValueError, EOFError) as error:
        place = path if vectors is not None else beside
        raise UserError(f"{place}: the vectors are damaged ({error})") from None
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise UserError(f"{path}: the vectors are not a matrix of floating-point numbers")
    return matrix


def _mapped(path: Path) -> np.ndarray:
    open_regular(path).close()  # numpy opens it by name, and would wait for a pipe
    return open_memmap(path, mode="r")


def matrix_file(path: Path) -> Path:
    """The file where gensim stores a large matrix of the pickle `path`."""
    return Path(f"{path}.vectors.npy")


def _array(record: Any) -> np.ndarray:
    """The array that a record describes. Raises ValueError if it describes none."""
    match record:
        case _Record(state=(_, tuple(shape), kind, bool(is_fortran), content)):
            by_column = is_fortran
        case _Record(args=(content, kind, tuple(shape), "C" | "F" as order)):  # protocol 5
            by_column = order == "F"
        case _:
            raise ValueError("they are not an array")
    return np.frombuffer(_bytes(content), _dtype(kind)).reshape(
        shape, order="F" if by_column else "C"
    )


def _dtype(record: Any) -> np.dtype:
    match record:
        case _Record(args=("f2" | "f4" | "f8" as size, *_), state=(_, "<" | ">" as order, *_)):
            return np.dtype(order + size)
    raise ValueError("they are not floating-point numbers")


def _bytes(content: Any) -> bytes:
    match content:
        case bytes():
            return content
        case _Record(args=(str(text), "latin1")):  # protocol 2
            return text.encode("latin1")
    raise ValueError("they have no content")
