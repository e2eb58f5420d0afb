"""Word vectors for the words of a vocabulary."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.folders import cache_folder, place_of
from rnnexp.data.vectors.files import Found, read_vectors
from rnnexp.data.vectors.gensim import matrix_file
from rnnexp.data.vectors.recognising import Format
from rnnexp.errors import UserError
from rnnexp.files import open_regular, write_bytes

VERSION = 2  # part of the cache key: raise it when the cache format or the readers change


@dataclass(frozen=True)
class Loaded:
    """The vectors of a vocabulary of V words."""

    vectors: Tensor  # (V, D) float32; zeros for words that are not in the file
    known: Tensor  # (V,) bool: whether the word is in the file
    fingerprint: str  # SHA-256 (hex) of the file
    place: str  # absolute path of the file
    coverage: str  # a sentence: how many of the words have a vector
    notes: list[str] = field(default_factory=list)  # sentences on what is unusual in the file


class WordVectors:
    """A file of word vectors.

    file: the file; None: the file that matches `pattern` in embeddings/ of $RNNEXP_DATA, or where
        `rnnexp data fetch SOURCE` puts it.
    source: the name of the data set for `rnnexp data fetch`.
    format: see `rnnexp.data.vectors.files`; None: inferred from the content.
    dimension: D, the dimension of the vectors; must match the file.
    unknown: words without a vector are skipped (`skip`), or their vectors learnt (`learn`).
    standardize: shift and scale every dimension to mean 0 and standard deviation 1 over the words
        of the vocabulary that have a vector.
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
            raise UserError(f"data.vectors.dimension is {dimension}: it must be at least 1")
        self.file, self.pattern, self.source = file, pattern, source
        self.format, self.dimension, self.unknown = format, dimension, unknown
        self.standardize = standardize

    @property
    def path(self) -> Path:
        """The file. Raises UserError if it does not exist, or several match the pattern."""
        if self.file is not None:
            path = Path(self.file).expanduser()
            if not path.is_file():
                raise UserError(f"data.vectors.file={self.file}: there is no such file")
            return path
        folder = place_of("embeddings", None)
        found = sorted(folder.glob(self.pattern))
        if not found:
            raise UserError(self._missing(folder))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise UserError(
                f"{folder} has several files {self.pattern} ({names}): choose one with "
                "data.vectors.file=FILE"
            )
        return found[0]

    def _missing(self, folder: Path) -> str:
        """What to do without a file that matches the pattern, in one sentence."""
        from rnnexp.data.fetching.downloads import DOWNLOADS  # which itself reads vectors

        sizes = {name: f" ({one.size})" for name, one in DOWNLOADS.items()}
        ways = [f"run `rnnexp data fetch {self.source}`{sizes.get(self.source, '')}"]
        there = vector_files(folder)
        if self.source != "glove":
            fitting = Path(DOWNLOADS["glove"].members[0]).stem
            with_glove = [path for path in there if path.name.startswith(fitting)]
            which = f", which reads {with_glove[0].name}" if with_glove else sizes["glove"]
            ways.append(f"set data/vectors=glove{which}")
            there = [path for path in there if path not in with_glove]
        ways.append(f"set data.vectors.file={there[0] if there else 'FILE'}")
        if there and (dimension := re.search(r"(\d+)d\b", there[0].name)):
            ways[-1] += f" data.vectors.dimension={dimension[1]}"
        return f"{folder} has no file {self.pattern}: {', or '.join(ways)}"

    def load(self, vocabulary: Sequence[str]) -> Loaded:
        """Load the vectors of V different words, from the cache if they were read before.

        Raises:
            UserError: the file is missing or malformed, or has none of the words.
        """
        path = self.path
        fingerprint = _fingerprint(path)
        kept = self._kept(fingerprint, vocabulary)
        vectors, known, notes = _from_cache(kept, len(vocabulary), self.dimension) or _into_cache(
            kept, read_vectors(path, vocabulary, self.dimension, self.format)
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
            notes=notes,
        )

    def _kept(self, fingerprint: str, vocabulary: Sequence[str]) -> Path:
        """The cache file of these vectors; its name is a hash of all that they depend on."""
        identity = [VERSION, fingerprint, list(vocabulary), self.dimension, self.format]
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
        return cache_folder() / "vectors" / f"{key}.npz"


def vector_files(folder: Path, patterns: Sequence[str] = ("*",)) -> list[Path]:
    """The files of word vectors in a folder, sorted. The matrices that gensim writes beside its
    own files are not among them."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.name[0] != "." and path.suffix != ".npy")


def _standardized(rows: np.ndarray) -> np.ndarray:
    """Standardise each column of rows (N, D); a constant column becomes 0."""
    exact = rows.astype(np.float64)
    deviation = exact.std(axis=0)
    return (exact - exact.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def _fingerprint(path: Path) -> str:
    """SHA-256 of the file; with a matrix file beside it, a hash of the hashes of both files."""
    try:
        hashes = [_sha256(one) for one in (path, matrix_file(path)) if one.is_file()]
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the cache: only the words that have a vector are kept --------------------------------------

# What np.load and the access to its arrays raise for a damaged file.
DAMAGED = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def _from_cache(kept: Path, size: int, dimension: int) -> Found | None:
    """The vectors of V words from the cache; None if the file is missing or damaged."""
    try:
        with np.load(kept, allow_pickle=False) as file:
            known, rows, notes = file["known"], file["vectors"], file["notes"]
    except DAMAGED:
        return None
    if (known.dtype, known.shape) != (np.dtype(bool), (size,)):
        return None
    if (rows.dtype, rows.shape) != (np.dtype(np.float32), (known.sum(), dimension)):
        return None
    vectors = np.zeros((size, dimension), np.float32)
    vectors[known] = rows
    return Found(vectors, known, list(map(str, notes)))


def _into_cache(kept: Path, found: Found) -> Found:
    content = io.BytesIO()
    notes = np.array(found.notes, dtype=str)
    np.savez(content, known=found.known, vectors=found.vectors[found.known], notes=notes)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, content.getvalue())
    except OSError:
        pass  # without a writable cache they are read again next time
    return found
