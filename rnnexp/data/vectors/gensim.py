"""Reads gensim's KeyedVectors without gensim, and without running anything that a pickle asks for.

`KeyedVectors.save(FILE)` writes a pickle, and a large matrix beside it as FILE.vectors.npy. Every
name that such a pickle may ask for stands below. None of them is imported: each becomes an inert
record of what it would have been called with, and the words and numbers are taken from there.
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
LARGEST = 1 << 30  # bytes of the pickle: three million words need a tenth of it


def read_keyed_vectors(path: Path, file: BinaryIO) -> tuple[list[Any], np.ndarray]:
    """n keys (words, as a rule) and their vectors (n, D), in the order of the file.

    The vectors are mapped from their own file, where they have one, and not read.

    Raises:
        UserError: these are no KeyedVectors, or they are damaged.
    """
    state = _unpickle(path, file)
    words = state.get("index_to_key", state.get("index2word"))  # gensim 4, gensim 3
    vectors = _matrix(path, state.get("vectors"))
    if not isinstance(words, list) or len(words) != len(vectors):
        raise UserError(f"{path}: these KeyedVectors do not have one vector for each word")
    return words, vectors


# --- the pickle ---------------------------------------------------------------------------------


class _Record:
    """What stands for an object: the arguments it was to be made from, and its state."""

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
    """A dictionary by words or numbers; the hash of a nested key can take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | int):
            raise pickle.UnpicklingError("a dictionary has keys that are no words")
        super().__setitem__(key, value)


class _Refused(Exception):
    """The pickle asks for a name that is not on the list."""


# The one in Python, not the one in C: that one makes room for as much as a file says it has.
_InPython: Any = pickle._Unpickler


class _Unpickler(_InPython):
    """Makes words, numbers, lists and records, and nothing else."""

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
        return type(name, (_Record,), {})  # a fresh one: nothing done to it outlives the file


def _unpickle(path: Path, file: BinaryIO) -> dict[str, Any]:
    """The attributes of the KeyedVectors."""
    content = b"".join(_chunks(path, file))
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except _Refused as refused:
        raise UserError(
            f"{path}: the pickle asks for {refused}, and nothing but gensim's KeyedVectors is "
            "read; write anything else with its save_word2vec_format"
        ) from None
    except Exception as error:  # a stream that somebody made up can go wrong in any way
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
            raise UserError(f"{path}: the pickle has more than {LARGEST:,} bytes, which none needs")
        yield chunk


# --- the numbers --------------------------------------------------------------------------------


def _matrix(path: Path, vectors: Any) -> np.ndarray:
    """The vectors (n, D), from the pickle or from the file beside it."""
    beside = matrix_file(path)
    try:
        matrix = _array(vectors) if vectors is not None else open_memmap(beside, mode="r")
    except FileNotFoundError:
        raise UserError(f"{beside}: the file is not there, and {path} needs it") from None
    except (ValueError, EOFError) as error:
        place = path if vectors is not None else beside
        raise UserError(f"{place}: the vectors are damaged ({error})") from None
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise UserError(f"{path}: the vectors are no matrix of floating-point numbers")
    return matrix


def matrix_file(path: Path) -> Path:
    """Where gensim puts a large matrix that belongs to the pickle `path`."""
    return Path(f"{path}.vectors.npy")


def _array(record: Any) -> np.ndarray:
    """The array that a record stands for. Raises ValueError where it stands for none."""
    match record:
        case _Record(state=(_, tuple(shape), kind, bool(is_fortran), content)):
            by_column = is_fortran
        case _Record(args=(content, kind, tuple(shape), "C" | "F" as order)):  # protocol 5
            by_column = order == "F"
        case _:
            raise ValueError("they are no array")
    return np.frombuffer(_bytes(content), _dtype(kind)).reshape(
        shape, order="F" if by_column else "C"
    )


def _dtype(record: Any) -> np.dtype:
    match record:
        case _Record(args=("f2" | "f4" | "f8" as size, *_), state=(_, "<" | ">" as order, *_)):
            return np.dtype(order + size)
    raise ValueError("they are no floating-point numbers")


def _bytes(content: Any) -> bytes:
    match content:
        case bytes():
            return content
        case _Record(args=(str(text), "latin1")):  # protocol 2
            return text.encode("latin1")
    raise ValueError("they have no content")
