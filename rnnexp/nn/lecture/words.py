"""The input of the lecture's text networks: a document with one row per word."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Words(Protocol):
    """A document: words[t] is the row (1, I) of word t, from 0; for example a tuple of tensors."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int, /) -> Tensor: ...


class OneHotWords:
    """Word ids as dense one-hot rows (1, V), each created on access.

    like: a tensor with the dtype and device of the rows; None: torch's defaults.
    """

    def __init__(self, words: Sequence[int], vocabulary: int, like: Tensor | None = None) -> None:
        self.words, self.vocabulary = words, vocabulary
        self.like = torch.empty(0) if like is None else like.detach()

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, t: int, /) -> Tensor:
        row = self.like.new_zeros(1, self.vocabulary)
        row[0, self.words[t]] = 1
        return row
