"""Word vectors for the words of a vocabulary."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.folders import cache_folder, place_of
from rnnexp.data.vectors.files import Format, read_vectors
from rnnexp.data.vectors.gensim import matrix_file
from rnnexp.errors import UserError
from rnnexp.files import write_bytes

VERSION = 1  # of what is kept in the cache, and of how it is read


@dataclass(frozen=True)
class Loaded:
    """The vectors of a vocabulary of V words."""

    vectors: Tensor  # (V, D) float32; zeros where the file has no such word
    known: Tensor  # (V,) bool: the file has the word
    fingerprint: str  # sha256 of the file's content
    place: str  # the file, an absolute path
    coverage: str  # how many of the words have a vector, as a person reads it


class WordVectors:
    """A file of word vectors.

    file: the file; None: the one that `pattern` fits in embeddings/ of $RNNEXP_DATA, or where
        `rnnexp data fetch SOURCE` puts it.
    format: see `rnnexp.data.vectors.files`; None: found out from the content.
    dimension: D, numbers of a vector; the file must have it.
    unknown: words without a vector are skipped when documents are read, or learnt.
    standardize: shift and scale every dimension so that over the vocabulary's words it has mean 0
        and standard deviation 1.
    """

    def __init__(
        self,
        file: str | None,
        pattern: str,
        source: str,
        format: Format | None,
        dimension: int,
        unknown: Literal["skip", "learn"],
        standardize: bool = False,
    ) -> None:
        if dimension < 1:
            raise UserError(f"data.vectors.dimension is {dimension}, it must be at least 1")
        self.file, self.pattern, self.source = file, pattern, source
        self.format, self.dimension, self.unknown = format, dimension, unknown
        self.standardize = standardize

    @property
    def path(self) -> Path:
        """The file. Raises UserError where it is not there."""
        if self.file is not None:
            path = Path(self.file).expanduser()
            if not path.is_file():
                raise UserError(f"data.vectors.file={self.file}: there is no such file")
            return path
        folder = place_of("embeddings", None)
        found = sorted(folder.glob(self.pattern))
        if not found:
            raise UserError(
                f"{folder} has no file {self.pattern}: run `rnnexp data fetch {self.source}`, or "
                "name a file with data.vectors.file=FILE"
            )
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise UserError(
                f"{folder} has several files {self.pattern} ({names}): name the one to read with "
                "data.vectors.file=FILE"
            )
        return found[0]

    def load(self, vocabulary: Sequence[str]) -> Loaded:
        """The vectors of these words, all different. What was read before is kept in the cache.

        Raises:
            UserError: the file is not there or not what it should be, or has none of the words.
        """
        path = self.path
        fingerprint = _fingerprint(path)
        kept = self._kept(fingerprint, vocabulary)
        vectors, known = _from_cache(kept, len(vocabulary), self.dimension) or _into_cache(
            kept, *read_vectors(path, vocabulary, self.dimension, self.format)
        )
        count, size = int(known.sum()), len(vocabulary)
        coverage = (
            f"{count:,} of {size:,} words ({100 * count / size:.1f} %) have a vector in {path.name}"
        )
        if self.standardize and count > 1:
            vectors[known] = _standardized(vectors[known])
        return Loaded(
            vectors=torch.from_numpy(vectors),
            known=torch.from_numpy(known),
            fingerprint=fingerprint,
            place=str(path.resolve()),
            coverage=coverage,
        )

    def _kept(self, fingerprint: str, vocabulary: Sequence[str]) -> Path:
        """Where in the cache they lie, by all that decides them."""
        identity = [VERSION, fingerprint, list(vocabulary), self.dimension, self.format]
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
        return cache_folder() / "vectors" / f"{key}.npz"


def _standardized(rows: np.ndarray) -> np.ndarray:
    """Rows (N, D) with mean 0 and standard deviation 1 in every column that is not constant."""
    exact = rows.astype(np.float64)
    deviation = exact.std(axis=0)
    return (exact - exact.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def _fingerprint(path: Path) -> str:
    """sha256 of the file, or over its own one and that of a matrix beside it."""
    try:
        hashes = [_sha256(one) for one in (path, matrix_file(path)) if one.is_file()]
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the cache: only the words that have a vector are kept --------------------------------------

DAMAGED = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def _from_cache(kept: Path, size: int, dimension: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Vectors and known as they were read before; None where nothing, or nothing whole, is kept."""
    try:
        with np.load(kept, allow_pickle=False) as file:
            known, rows = file["known"], file["vectors"]
    except DAMAGED:
        return None
    if (known.dtype, known.shape) != (np.dtype(bool), (size,)):
        return None
    if (rows.dtype, rows.shape) != (np.dtype(np.float32), (known.sum(), dimension)):
        return None
    vectors = np.zeros((size, dimension), np.float32)
    vectors[known] = rows
    return vectors, known


def _into_cache(
    kept: Path, vectors: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    content = io.BytesIO()
    np.savez(content, known=known, vectors=vectors[known])
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, content.getvalue())
    except OSError:
        pass  # a read-only home only costs the time to read them again
    return vectors, known
