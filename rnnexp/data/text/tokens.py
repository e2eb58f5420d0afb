"""Encoded sequences, concatenated, and padded batches gathered from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.loading.device import on


class TokenBatch(NamedTuple):
    """B sequences, padded to the T steps of the longest one."""

    tokens: Tensor  # (B, T) int64
    lengths: Tensor | None  # (B,) int64; None if every sequence has T steps
    label: Tensor  # (B,) int64
    row: Tensor  # (B,) int64, indices of the sequences in the store
    extra: Tensor | None = None  # (B, T, K) float32, extra inputs of every step


class TokenStore:
    """n sequences of token numbers with their labels; sequence i starts at tokens[first[i]].

    extra: (T, K) for every sequence of T tokens, the extra inputs of its steps.
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        labels: Sequence[int],
        extra: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.lengths = torch.tensor([len(one) for one in sequences], dtype=torch.int64)
        self.first = torch.cumsum(self.lengths, 0) - self.lengths
        flat = [token for one in sequences for token in one]
        self.tokens = torch.tensor(flat, dtype=torch.int64)
        self.label = torch.tensor(labels, dtype=torch.int64)
        self.extra = torch.from_numpy(np.concatenate(extra)) if extra else None

    def __len__(self) -> int:
        return len(self.lengths)

    def on(self, device: torch.device | str) -> "TokenStore":
        """A copy that gathers batches on this device."""
        moved = on(self, device)
        moved.lengths = self.lengths
        return moved

    def batch(self, rows: Tensor) -> TokenBatch:
        """The sequences with the indices `rows` (B,), padded with 0. Networks mask the padding."""
        lengths = self.lengths[rows]  # on the processor, which then need not wait for a GPU
        steps, padded = int(lengths.max()), int(lengths.min()) < int(lengths.max())
        device = self.tokens.device
        rows, lengths = rows.to(device), lengths.to(device)
        step = torch.arange(steps, device=device)
        real = step < lengths.unsqueeze(1)  # (B, T)
        place = (self.first[rows].unsqueeze(1) + step).where(real, torch.tensor(0))
        tokens = self.tokens[place].where(real, torch.tensor(0))
        extra = None
        if self.extra is not None:
            extra = self.extra[place] * real.unsqueeze(2)
        return TokenBatch(tokens, lengths if padded else None, self.label[rows], rows, extra)
