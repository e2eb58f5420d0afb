"""What the lecture's text networks read: a document as rows, one a word."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Words(Protocol):
    """A document: words[t] is the row (1, I) of word t, counted from 0. A tuple of rows is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int, /) -> Tensor: ...


class OneHotWords:
    """Word numbers as dense one-hot rows (1, V). A row is built when it is asked for.

    like: a tensor of the type and on the device that the rows should have; None: torch's defaults.
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
