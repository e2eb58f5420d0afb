"""Chunking: how the training spans are cut into windows.

A chunking gives the start of every window of an epoch, which depends on (seed, epoch) alone, and
gathers batches of windows.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rnnexp.data.series.calendar.frequency import Steps
from rnnexp.data.series.windows import SeriesBatch, Store
from rnnexp.errors import UserError
from rnnexp.process.determinism import generator

Span = tuple[int, int]  # the training span of one series in the store: first step, end (exclusive)


@dataclass(frozen=True)
class RunningBasis:
    """The lecture's "running basis": a sliding window of `look_back` steps with stride `stride`.

    The target is the value that follows the window. Windows with a repaired target are left out.

    Raises:
        UserError: the stride is below 1.
    """

    stride: Steps = 1
    supervised: ClassVar[str] = "last"

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise UserError(f"data.chunking.stride is {self.stride}: it must be at least 1")

    def least_steps(self, look_back: int) -> int:
        """The fewest steps of a training span that contain a window and its target."""
        return look_back + 1

    def starts(
        self, store: Store, spans: list[Span], look_back: int, seed: int, epoch: int
    ) -> Tensor:
        """Store positions (n,) int64 of the first step of each window, the same in every epoch."""
        every = torch.cat([torch.arange(a, b - look_back, self.stride) for a, b in spans])
        return every[store.observed[every + look_back]]

    def batch(self, store: Store, starts: Tensor, look_back: int) -> SeriesBatch:
        return store.next_value_batch(starts, look_back)


@dataclass(frozen=True)
class EveryStep:
    """Windows of `length` steps without overlap, with a target at every step after the first
    `warm_up`. The windows of each epoch start at a new random offset.

    A `RunningBasis` with stride 1 reads each step look_back times an epoch, and one output per
    window has a target. Here each step is read once an epoch, and each output has a target.

    Raises:
        UserError: `length` is below 1, or `warm_up` is not in [0, length).
    """

    length: Steps = 128
    warm_up: Steps = 24
    supervised: ClassVar[str] = "every_step"

    def __post_init__(self) -> None:
        if self.length < 1:
            raise UserError(f"data.chunking.length is {self.length}: it must be at least 1")
        if not 0 <= self.warm_up < self.length:
            raise UserError(
                f"data.chunking.warm_up is {self.warm_up}: it must be at least 0 and below "
                f"data.chunking.length={self.length}"
            )

    def least_steps(self, look_back: int) -> int:
        """The fewest steps of a training span that contain a training window at any offset, and an
        evaluation window with its target."""
        return max(look_back + 1, 2 * self.length)

    def starts(
        self, store: Store, spans: list[Span], look_back: int, seed: int, epoch: int
    ) -> Tensor:
        """Store positions (n,) int64 of the first step of each window; n is the same in every
        epoch."""
        draw = generator(seed, "window offsets", epoch)
        offsets = torch.randint(self.length, (len(spans),), generator=draw).tolist()
        # As many as fit at the largest offset; the last step of a span is only a target.
        counts = [max(0, (b - a - 1 - (self.length - 1)) // self.length) for a, b in spans]
        return torch.cat(
            [
                a + offset + self.length * torch.arange(count)
                for (a, _), offset, count in zip(spans, offsets, counts, strict=True)
            ]
        )

    def batch(self, store: Store, starts: Tensor, look_back: int) -> SeriesBatch:
        return store.every_step_batch(starts, self.length, self.warm_up)


Chunking = RunningBasis | EveryStep
