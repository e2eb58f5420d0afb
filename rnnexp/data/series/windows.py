"""Windows as views: cleaned series laid end to end, and batches gathered from them by position.

Nothing is materialised: memory stays near the size of the raw series, whatever the look-back.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.conditioning import Conditioning, calendar_of


class SeriesBatch(NamedTuple):
    """B windows of T steps of C columns; values and targets in original units."""

    values: Tensor  # (B, T, C) float32
    calendar: Tensor  # (B, T, K) float32
    series: Tensor  # (B,) int64
    target: Tensor  # (B, T) or (B, 1) float32: the value that follows each step, or the last one
    weight: Tensor  # the target's shape, bool: which targets count


@dataclass(frozen=True)
class Windows:
    """Which windows: where each starts in the store, and what follows it."""

    start: Tensor  # (n,) int64
    target: Tensor  # (n,) float32, original units
    time: np.ndarray  # (n,) datetime64[s], of the target

    def __len__(self) -> int:
        return len(self.start)


class Store:
    """The series of a data set, end to end: M steps in all.

    values (M, C) float32, calendar (M, 4) int16, observed (M,) bool; series s has the steps
    first[s] .. first[s + 1] - 1.
    """

    def __init__(self, series: list[Series], conditioning: Conditioning) -> None:
        lengths = [len(one.time) for one in series]
        self.first = torch.tensor([0, *np.cumsum(lengths)])
        values = np.concatenate([one.values.astype(np.float32) for one in series])
        self.values = torch.from_numpy(values)
        self.calendar = torch.cat([calendar_of(one.time) for one in series])
        self.observed = torch.from_numpy(np.concatenate([one.observed for one in series]))
        self.conditioning = conditioning

    def series_of(self, position: Tensor) -> Tensor:
        """The number of the series that each position (n,) belongs to."""
        return torch.searchsorted(self.first, position, right=True) - 1

    def inputs(self, start: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of `length` steps from each start (B,): values, calendar columns, series."""
        values = self.values.unfold(0, length, 1)[start].transpose(1, 2)  # (B, T, C)
        calendar = self.calendar.unfold(0, length, 1)[start].transpose(1, 2)  # (B, T, 4)
        return values, self.conditioning.encode(calendar), self.series_of(start)

    def next_value_batch(self, start: Tensor, length: int) -> SeriesBatch:
        """Windows whose one target is the value that follows them."""
        following = (start + length).unsqueeze(1)
        target, weight = self.values[following, 0], self.observed[following]
        return SeriesBatch(*self.inputs(start, length), target, weight)

    def every_step_batch(self, start: Tensor, length: int, warm_up: int) -> SeriesBatch:
        """Windows with a target at every step: the value that follows it. The first `warm_up` do
        not count."""
        following = (start + 1).unsqueeze(1) + torch.arange(length)
        weight = self.observed[following]
        weight[:, :warm_up] = False
        return SeriesBatch(*self.inputs(start, length), self.values[following, 0], weight)

    def evaluation_batch(self, windows: Windows, chosen: slice, length: int) -> SeriesBatch:
        """Windows whose targets are original rows, never repaired values."""
        target = windows.target[chosen].unsqueeze(1)
        inputs = self.inputs(windows.start[chosen], length)
        return SeriesBatch(*inputs, target, torch.ones_like(target, dtype=torch.bool))
