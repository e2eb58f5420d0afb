"""Samplers: the order of batches, a function of (seed, epoch, step)."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from rnnexp.determinism import generator


class ShuffledBatches:
    """Shuffled batches of the items of an epoch.

    items: epoch -> (n,) tensor of whatever a batch is gathered by; n is the same in every epoch.
    The permutation comes from its own generator, so what happens elsewhere never changes it.
    Without reshuffle every epoch is the first one again.
    """

    def __init__(
        self,
        items: Callable[[int], Tensor],
        batch_size: int,
        seed: int,
        drop_last: bool = False,
        reshuffle: bool = True,
    ) -> None:
        self.items, self.batch_size, self.seed, self.drop_last = items, batch_size, seed, drop_last
        self.reshuffle = reshuffle
        self.epoch = 0
        self.count = len(items(0))
        self.seen = hashlib.sha256()  # over every batch given so far: what a rerun compares

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch if self.reshuffle else 0

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Tensor]:
        items = self.items(self.epoch)
        draw = generator(self.seed, "batch order", self.epoch)
        order = torch.randperm(len(items), generator=draw)
        for step in range(len(self)):
            batch = items[order[step * self.batch_size : (step + 1) * self.batch_size]]
            self.seen.update(batch.numpy().data)
            yield batch


class SequentialBatches:
    """Consecutive slices of `count` items, the last one shorter."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.count, self.batch_size = count, batch_size

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[slice]:
        for first in range(0, self.count, self.batch_size):
            yield slice(first, min(first + self.batch_size, self.count))


class BatchLoader:
    """What Lightning iterates over: a sampler, and a function that makes a batch of what it gives.

    A batch is gathered whole, so there is nothing for worker processes to do; and unlike torch's
    DataLoader it draws nothing from the global random stream.
    """

    batch_sampler = None  # Lightning looks for it, and calls sampler.set_epoch

    def __init__(self, sampler: Any, make_batch: Callable[[Any], Any]) -> None:
        self.sampler, self.make_batch = sampler, make_batch

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        return map(self.make_batch, self.sampler)
