"""Chunking: how the training spans are cut into windows.

A chunking gives, for every epoch, where its windows start, and makes batches of them. Both are a
function of (seed, epoch) alone.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rnnexp.data.series.windows import SeriesBatch, Store
from rnnexp.errors import UserError
from rnnexp.process.determinism import generator

Span = tuple[int, int]  # first and end position of one series' training span in the store


@dataclass(frozen=True)
class RunningBasis:
    """The lecture's windows: one every `stride` steps, of look-back length, the target the value
    that follows. Windows whose target was repaired are left out."""

    stride: int = 1
    supervised: ClassVar[str] = "last"

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise UserError(f"data.chunking.stride is {self.stride}: it must be at least 1")

    def least_steps(self, look_back: int) -> int:
        """The shortest training span that gives a window."""
        return look_back + 1

    def starts(
        self, store: Store, spans: list[Span], look_back: int, seed: int, epoch: int
    ) -> Tensor:
        """Where the windows of an epoch start: (n,), the same in every epoch."""
        every = torch.cat([torch.arange(a, b - look_back, self.stride) for a, b in spans])
        return every[store.observed[every + look_back]]

    def batch(self, store: Store, starts: Tensor, look_back: int) -> SeriesBatch:
        return store.next_value_batch(starts, look_back)


@dataclass(frozen=True)
class EveryStep:
    """Windows of `length` steps without overlap, from a fresh random offset in every epoch, with a
    target at every step after the first `warm_up`.

    The running basis shows each step to the network look-back times an epoch and learns from one
    output in look-back; here each step is shown once, and learnt from once.
    """

    length: int = 128
    warm_up: int = 24
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
        """The shortest training span that gives a window from any offset, and an evaluation."""
        return max(look_back + 1, 2 * self.length)

    def starts(
        self, store: Store, spans: list[Span], look_back: int, seed: int, epoch: int
    ) -> Tensor:
        """Where the windows of an epoch start: (n,), as many in every epoch."""
        draw = generator(seed, "window offsets", epoch)
        offsets = torch.randint(self.length, (len(spans),), generator=draw).tolist()
        # Counted so that they fit from any offset; the last step of a span is a target only.
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
