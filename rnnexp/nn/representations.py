"""Representations: a batch of sequences as the input of a recurrence.

`x.project(W, b)` returns W x_t + b for all steps, `x.dense()` returns the inputs x_t, and
`x.lengths` are the numbers of steps without padding. The modules `OneHotTokens` and `Embeddings`
turn token ids into a representation. They hold embedding tables, but no weights of a cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.nn.fast.tables import lookup, rows_in_use

NO_DENSE_ONE_HOT = (
    "one-hot vectors are never built, and this recurrence needs them: choose a recurrence of "
    "cells (CellRecurrence), or Embeddings"
)


@dataclass(frozen=True)
class Vectors:
    """Sizes of a set of word vectors, known before the vectors are loaded.

    dimension: size of a vector, E. known: number of words of the vocabulary that have a vector.
    """

    dimension: int
    known: int


@dataclass(frozen=True)
class Sequences:
    """Base class of all representations.

    values: (T, B, ...). lengths: (B,), integers, in steps; None if every sequence has T steps.
    """

    values: Tensor
    lengths: Tensor | None = None

    @property
    def steps(self) -> int:
        """Number of steps, T, including padding."""
        return self.values.shape[0]

    @property
    def batch(self) -> int:
        """Number of sequences, B."""
        return self.values.shape[1]

    @property
    def padding(self) -> Tensor | None:
        """(T, B), True after the end of a sequence; None if there are no lengths."""
        if self.lengths is None:
            return None
        return torch.arange(self.steps, device=self.lengths.device).unsqueeze(1) >= self.lengths

    def last(self) -> Self:
        """The last step of every sequence before its padding, as sequences of one step."""
        if self.lengths is None:
            return replace(self, values=self.values[-1:])
        row = torch.arange(self.batch, device=self.values.device)
        return replace(self, values=self.values[self.lengths - 1, row].unsqueeze(0), lengths=None)

    def before_last(self) -> Self:
        """Every sequence without its last step. A sequence of one step becomes empty."""
        lengths = None if self.lengths is None else self.lengths - 1
        return replace(self, values=self.values[:-1], lengths=lengths)

    def reversed(self) -> Self:
        """Every sequence in reverse order; its padding stays at the end."""
        return replace(self, values=reverse(self.values, self.lengths))

    def split(self, rows: int) -> list[Self]:
        """Split the batch into parts of at most `rows` sequences."""
        if self.batch <= rows:
            return [self]
        lengths = self.lengths.split(rows) if self.lengths is not None else repeat(None)
        parts = zip(self.values.split(rows, dim=1), lengths, strict=False)
        return [replace(self, values=values, lengths=lengths) for values, lengths in parts]

    def without_padding(self) -> Self:
        """The same sequences, with finite values in the padding."""
        return self

    def project(self, weight: Tensor, bias: Tensor) -> Tensor:
        """weight: (I, N), bias: (N,) -> W x_t + b of all steps, (T, B, N)."""
        raise NotImplementedError

    def in_use(self, weight: Tensor) -> tuple[Self, Tensor]:
        """Reduce a weight (I, N) to the rows in use, (U, N). Returns the sequences as inputs of the
        reduced weight, and this weight. By default all rows are in use."""
        return self, weight

    def dense(self) -> Tensor:
        """The inputs x_t of all steps, (T, B, I)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Features(Sequences):
    """Sequences of feature vectors; values: (T, B, F)."""

    def without_padding(self) -> Self:
        """Zero the padding, so that NaN in it does not reach the gradient of a weight."""
        padding = self.padding
        if padding is None:
            return self
        return replace(self, values=self.values.masked_fill(padding.unsqueeze(2), 0))

    def _flat(self) -> Tensor:
        return self.values.reshape(-1, self.values.shape[2])  # (T * B, F)

    def project(self, weight: Tensor, bias: Tensor) -> Tensor:
        """One product over all steps."""
        flat = self.without_padding()._flat()
        return bias.addmm(flat, weight).view(self.steps, self.batch, weight.shape[1])

    def dense(self) -> Tensor:
        return self.values


@dataclass(frozen=True)
class OneHot(Sequences):
    """Sequences of one-hot vectors, stored as the index of the one; values: (T, B).

    sparse: whether the gradient of a weight is a sparse tensor that holds only the rows in use.
    """

    sparse: bool = False

    def project(self, weight: Tensor, bias: Tensor) -> Tensor:
        """A row lookup, since the product of a one-hot vector with W is a row of W."""
        if self.sparse:
            return lookup(weight, self.values) + bias
        return functional.embedding(self.values, weight) + bias

    def in_use(self, weight: Tensor) -> tuple[Self, Tensor]:
        """If sparse, one-hot vectors over the rows in use, and these rows; else no reduction."""
        if not self.sparse:
            return self, weight
        rows, place = rows_in_use(weight, self.values)
        return replace(self, values=place), rows

    def dense(self) -> Tensor:
        """Not supported.

        Raises:
            ValueError: always, because the vectors would be as long as the vocabulary.
        """
        raise ValueError(NO_DENSE_ONE_HOT)


def reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the order of the first `lengths` steps of every sequence in values (T, B, ...), or of
    all steps if lengths is None."""
    if lengths is None:
        return values.flip(0)
    step = torch.arange(values.shape[0], device=values.device).unsqueeze(1)  # (T, 1)
    source = torch.where(step < lengths, lengths - 1 - step, step)  # (T, B)
    return values[source, torch.arange(values.shape[1], device=values.device)]


class OneHotTokens(nn.Module):
    """Token ids as one-hot vectors over the vocabulary.

    vocabulary: number of tokens. vectors, extra: arguments of `Embeddings`, not supported here.
    sparse: whether the gradients of the input weights hold only the rows in use; this is faster if
    the vocabulary has more than about a thousand tokens.
    rows: number of rows of the input weights; rows beyond the vocabulary are unused. None: one row
    per token.

    Raises:
        ValueError: vectors or extra is given, or rows is smaller than the vocabulary.
    """

    def __init__(
        self,
        vocabulary: int,
        vectors: Vectors | None = None,
        extra: int = 0,
        sparse: bool = False,
        rows: int | None = None,
    ) -> None:
        super().__init__()
        if vectors is not None:
            raise ValueError("one-hot tokens cannot use word vectors: choose Embeddings")
        if extra:
            raise ValueError(
                f"extra={extra}: one-hot tokens do not support extra inputs (n-grams): choose "
                "Embeddings"
            )
        self.sparse = sparse
        self.size = vocabulary if rows is None else rows
        if self.size < vocabulary:
            raise ValueError(
                f"rows is {rows}, but each of the {vocabulary} tokens needs one: raise it, or set "
                "it to None for one row per token"
            )

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> OneHot:
        """tokens: (B, T), lengths: (B,) or None -> one-hot vectors (T, B)."""
        return OneHot(tokens.t(), lengths, self.sparse)


class Embeddings(nn.Module):
    """Token ids as rows of an embedding table (V, E).

    Without word vectors the table is learnt from scratch, with E = `dimension`. With word vectors
    (`take_vectors`) the row of a word with a vector is initialised to it, and is frozen unless
    `tune`; the other rows are learnt. dropout: probability of zeroing an entry of an embedding in
    training.

    vocabulary: number of tokens, V. extra: number of extra inputs per step, K, concatenated to the
    embedding. size: E + K.

    Raises:
        ValueError: dimension is below 1.
    """

    fixed: Tensor
    place: Tensor

    def __init__(
        self,
        vocabulary: int,
        vectors: Vectors | None = None,
        extra: int = 0,
        dimension: int = 100,
        tune: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if dimension < 1:
            raise ValueError(f"dimension is {dimension}: it must be at least 1")
        embedded = vectors.dimension if vectors else dimension
        self.size = embedded + extra
        self.dropout = nn.Dropout(dropout)
        frozen = vectors.known if vectors and not tune else 0
        # The learnt table has no row for a word with a frozen vector.
        self.learnt = nn.Parameter(torch.empty(vocabulary - frozen, embedded))
        nn.init.normal_(self.learnt, std=embedded**-0.5)
        self.frozen = frozen > 0
        if self.frozen:
            self.register_buffer("fixed", torch.zeros(frozen, embedded))
            self.register_buffer("place", torch.zeros(vocabulary, dtype=torch.int64))

    def take_vectors(self, vectors: Tensor, known: Tensor) -> None:
        """Copy word vectors into the table. vectors: (V, E), known: (V,), True for each word that
        has a vector."""
        with torch.no_grad():
            if not self.frozen:
                self.learnt[known] = vectors[known]
                return
            self.fixed.copy_(vectors[known])
            # Words with a vector come first, 0, 1, ...; the rows of the others are in `learnt`.
            count = int(known.sum())
            self.place[known] = torch.arange(count)
            self.place[~known] = torch.arange(count, len(known))

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Features:
        """tokens: (B, T), lengths: (B,) or None, extra: (B, T, K) -> features (T, B, E + K)."""
        values = self.dropout(self.rows(tokens.t()))
        if extra is not None:
            values = torch.cat([values, extra.transpose(0, 1)], dim=-1)
        return Features(values, lengths)

    def rows(self, tokens: Tensor) -> Tensor:
        """The rows of the table of some tokens: (...) integers -> (..., E)."""
        return self._frozen(tokens) if self.frozen else functional.embedding(tokens, self.learnt)

    def _frozen(self, rows: Tensor) -> Tensor:
        place, count = self.place[rows], len(self.fixed)
        fixed = functional.embedding(place.clamp(max=count - 1), self.fixed)
        if len(self.learnt) == 0:
            return fixed
        learnt = functional.embedding((place - count).clamp(min=0), self.learnt)
        return torch.where((place < count).unsqueeze(-1), fixed, learnt)


def has_sparse_gradients(network: nn.Module) -> bool:
    """Whether some weights of a network have sparse gradients, which hold only the rows in use."""
    return any(isinstance(one, OneHotTokens) and one.sparse for one in network.modules())
