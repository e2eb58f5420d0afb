"""Representations: a batch of sequences that can be multiplied.

`x.project(W, b)` gives W x_t + b for all steps at once, `x.dense()` the raw inputs, and `x.lengths`
how many steps of each sequence are real. The modules `OneHotTokens` and `Embeddings` turn token
numbers into a representation. They own embedding tables, but never the weight of a gate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.nn.fast.tables import lookup, rows_in_use

NEVER_BUILT = (
    "one-hot vectors are never built, and this recurrence needs them: choose a recurrence of "
    "cells (CellRecurrence), or Embeddings"
)


@dataclass(frozen=True)
class Vectors:
    """What is known about word vectors before they are read.

    dimension: of each vector. known: how many words of the vocabulary have a vector.
    """

    dimension: int
    known: int


@dataclass(frozen=True)
class Sequences:
    """Base class of all representations.

    values: (T, B, ...). lengths: (B,) integers; None if every sequence has T steps.
    """

    values: Tensor
    lengths: Tensor | None = None

    @property
    def steps(self) -> int:
        return self.values.shape[0]

    @property
    def batch(self) -> int:
        return self.values.shape[1]

    @property
    def padding(self) -> Tensor | None:
        """(T, B), True after the last real step of a sequence; None if there are no lengths."""
        if self.lengths is None:
            return None
        return torch.arange(self.steps, device=self.lengths.device).unsqueeze(1) >= self.lengths

    def last(self) -> Self:
        """The last real step of every sequence, as sequences of one step."""
        if self.lengths is None:
            return replace(self, values=self.values[-1:])
        row = torch.arange(self.batch, device=self.values.device)
        return replace(self, values=self.values[self.lengths - 1, row].unsqueeze(0), lengths=None)

    def before_last(self) -> Self:
        """All but the last real step of every sequence, so a sequence may have no steps left."""
        lengths = None if self.lengths is None else self.lengths - 1
        return replace(self, values=self.values[:-1], lengths=lengths)

    def reversed(self) -> Self:
        """Every sequence backwards; its padding stays at the end."""
        return replace(self, values=reverse(self.values, self.lengths))

    def split(self, rows: int) -> list[Self]:
        """Parts of at most `rows` sequences each."""
        if self.batch <= rows:
            return [self]
        lengths = self.lengths.split(rows) if self.lengths is not None else repeat(None)
        parts = zip(self.values.split(rows, dim=1), lengths, strict=False)
        return [replace(self, values=values, lengths=lengths) for values, lengths in parts]

    def without_padding(self) -> Self:
        """The same sequences with harmless values in the padding."""
        return self

    def project(self, weight: Tensor, bias: Tensor) -> Tensor:
        """weight: (I, out), bias: (out,) -> W x_t + b of all steps, (T, B, out)."""
        raise NotImplementedError

    def in_use(self, weight: Tensor) -> tuple[Self, Tensor]:
        """The rows of a weight (I, out) that these sequences use, and the sequences as inputs of
        that smaller weight."""
        return self, weight

    def dense(self) -> Tensor:
        """The raw inputs, (T, B, I)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Features(Sequences):
    """Sequences of feature vectors; values: (T, B, F)."""

    def without_padding(self) -> Self:
        """With zeros in the padding, so that not even NaN reaches the gradient of a weight."""
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
    """Sequences of one-hot vectors that are never built; values: (T, B), the position of the one.

    sparse: the gradient of a weight is a sparse tensor that holds only the rows in use.
    """

    sparse: bool = False

    def project(self, weight: Tensor, bias: Tensor) -> Tensor:
        """A row lookup: the product of a one-hot vector with W is a row of W."""
        if self.sparse:
            return lookup(weight, self.values) + bias
        return functional.embedding(self.values, weight) + bias

    def in_use(self, weight: Tensor) -> tuple[Self, Tensor]:
        """If sparse, the rows in use, and one-hot vectors over them; else nothing changes."""
        if not self.sparse:
            return self, weight
        rows, place = rows_in_use(weight, self.values)
        return replace(self, values=place), rows

    def dense(self) -> Tensor:
        """Refused.

        Raises:
            ValueError: always; the vectors would be as long as the vocabulary.
        """
        raise ValueError(NEVER_BUILT)


def reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """values (T, B, ...) with the first `lengths` steps of every sequence in reverse order; all
    steps if lengths is None."""
    if lengths is None:
        return values.flip(0)
    step = torch.arange(values.shape[0], device=values.device).unsqueeze(1)  # (T, 1)
    source = torch.where(step < lengths, lengths - 1 - step, step)  # (T, B)
    return values[source, torch.arange(values.shape[1], device=values.device)]


class OneHotTokens(nn.Module):
    """Token numbers as one-hot vectors over the vocabulary.

    vocabulary: number of tokens. vectors, extra: as for `Embeddings`, but not supported here.
    sparse: the gradients of the input weights hold only the rows in use. This is worth its overhead
    from a vocabulary of about a thousand tokens on.
    rows: number of rows of the input weights, if it is to exceed the vocabulary; no token uses the
    further rows. None: one row for each token.
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
                f"extra={extra}: one-hot tokens cannot have further inputs (of n-grams): choose "
                "Embeddings"
            )
        self.sparse = sparse
        self.size = vocabulary if rows is None else rows
        if self.size < vocabulary:
            raise ValueError(
                f"rows is {rows}, but each of the {vocabulary} tokens needs one: raise it, or set "
                "it to None for one row a token"
            )

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> OneHot:
        """tokens: (B, T), lengths: (B,) or None -> one-hot vectors (T, B)."""
        return OneHot(tokens.t(), lengths, self.sparse)


class Embeddings(nn.Module):
    """Token numbers as rows of a table (V, E).

    Without word vectors the table is learnt from scratch, with E = `dimension`. With word vectors
    (`take_vectors`) a word that has a vector starts from it, and keeps it unless `tune`; the other
    words are learnt. dropout: probability of zeroing an entry of an embedded word in training.

    vocabulary: number of tokens, V. extra: number of further inputs of a step, K; they stand beside
    its embedded word. size: E + K.
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
        """Start from word vectors. vectors: (V, E), known: (V,), True for words that have one."""
        with torch.no_grad():
            if not self.frozen:
                self.learnt[known] = vectors[known]
                return
            self.fixed.copy_(vectors[known])
            # Known words are numbered 0, 1, ...; the others after them, in the learnt table.
            count = int(known.sum())
            self.place[known] = torch.arange(count)
            self.place[~known] = torch.arange(count, len(known))

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Features:
        """tokens: (B, T), lengths: (B,) or None, extra: (B, T, K) -> features (T, B, E + K)."""
        rows = tokens.t()
        embedded = self._frozen(rows) if self.frozen else functional.embedding(rows, self.learnt)
        values = self.dropout(embedded)
        if extra is not None:
            values = torch.cat([values, extra.transpose(0, 1)], dim=-1)
        return Features(values, lengths)

    def _frozen(self, rows: Tensor) -> Tensor:
        place, count = self.place[rows], len(self.fixed)
        fixed = functional.embedding(place.clamp(max=count - 1), self.fixed)
        if len(self.learnt) == 0:
            return fixed
        learnt = functional.embedding((place - count).clamp(min=0), self.learnt)
        return torch.where((place < count).unsqueeze(-1), fixed, learnt)


def has_sparse_gradients(network: nn.Module) -> bool:
    """Whether some weights of a network get gradients that hold only the rows in use."""
    return any(isinstance(one, OneHotTokens) and one.sparse for one in network.modules())
