"""Sequences of token numbers laid end to end, and padded batches gathered from them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class TokenBatch(NamedTuple):
    """B sequences, padded to the T steps of the longest one."""

    tokens: Tensor  # (B, T) int64
    lengths: Tensor | None  # (B,) int64; None where every sequence has T steps
    label: Tensor  # (B,) int64
    row: Tensor  # (B,) int64, which sequences of the store these are


class TokenStore:
    """n sequences of token numbers with their labels; sequence i has tokens first[i] on."""

    def __init__(self, sequences: Sequence[Sequence[int]], labels: Sequence[int]) -> None:
        self.lengths = torch.tensor([len(one) for one in sequences], dtype=torch.int64)
        self.first = torch.cumsum(self.lengths, 0) - self.lengths
        flat = [token for one in sequences for token in one]
        self.tokens = torch.tensor(flat, dtype=torch.int64)
        self.label = torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Tensor) -> TokenBatch:
        """The sequences of these rows (B,). Padding has the number 0 and is never read."""
        lengths = self.lengths[rows]
        steps = int(lengths.max())
        step = torch.arange(steps)
        real = step < lengths.unsqueeze(1)  # (B, T)
        place = (self.first[rows].unsqueeze(1) + step).where(real, torch.tensor(0))
        tokens = self.tokens[place].where(real, torch.tensor(0))
        padded = int(lengths.min()) < steps
        return TokenBatch(tokens, lengths if padded else None, self.label[rows], rows)
