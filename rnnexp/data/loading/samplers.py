"""Samplers: the order of batches, which depends on (seed, epoch, step) alone."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from rnnexp.errors import unimplemented
from rnnexp.process.determinism import generator

FEWER = "an epoch has {:,} batches, and {:,} were trained on"


class TrainingBatches:
    """The base class of the training samplers, which implement `batches`. reshuffle: False repeats
    the first epoch.

    seen: hash of all batches so far; a rerun compares it.
    """

    def __init__(self, batch_size: int, seed: int, reshuffle: bool = True) -> None:
        self.batch_size, self.seed, self.reshuffle = batch_size, seed, reshuffle
        self.epoch = 0
        self.seen = hashlib.sha256()
        self._trained = 0

    def batches(self) -> Iterator[Tensor]:
        """The batches of the current epoch, which depend on nothing but the seed and the epoch."""
        raise unimplemented(self, "batches()")

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch if self.reshuffle else 0

    def __iter__(self) -> Iterator[Tensor]:
        trained, self._trained = self._trained, 0
        number = 0
        for number, batch in enumerate(self.batches(), 1):
            self.seen.update(batch.numpy().data)
            if number > trained:
                yield batch
        if number < trained:
            raise ValueError(FEWER.format(number, trained))

    def replay(self, trained: Sequence[int]) -> None:
        """Draw the batches of an interrupted run again, without training on them.

        trained: the number of batches of every epoch so far. The next iteration goes on within the
        last one.

        Raises:
            ValueError: an epoch has fewer batches; in the last one, the next iteration raises it.
        """
        *whole, self._trained = trained
        for epoch, number in enumerate(whole):
            self.set_epoch(epoch)
            drawn = list(islice(self.batches(), number))
            if len(drawn) < number:
                raise ValueError(FEWER.format(len(drawn), number))
            for batch in drawn:
                self.seen.update(batch.numpy().data)


class ShuffledBatches(TrainingBatches):
    """Shuffled batches of the items of an epoch.

    items: epoch -> (n,) int64, e.g. window starts or sequence numbers; n is the same in every
    epoch. The permutation has its own generator, so no other random draw changes it.

    lengths: (n,), lengths of the items if they are sequences. Batches are then bucketed by length
    (`bucket` below), which keeps padding small.
    """

    def __init__(
        self,
        items: Callable[[int], Tensor],
        batch_size: int,
        seed: int,
        drop_last: bool = False,
        reshuffle: bool = True,
        lengths: Tensor | None = None,
    ) -> None:
        super().__init__(batch_size, seed, reshuffle)
        self.items, self.drop_last, self.lengths = items, drop_last, lengths
        self.count = len(items(0))

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def batches(self) -> Iterator[Tensor]:
        items = self.items(self.epoch)
        draw = generator(self.seed, "batch order", self.epoch)
        order = torch.randperm(len(items), generator=draw)
        if self.lengths is not None and self.batch_size > 1:
            order = bucket(order, self.lengths[items], self.batch_size, draw)
        for step in range(len(self)):
            yield items[order[step * self.batch_size : (step + 1) * self.batch_size]]


class ClassUniformBatches(TrainingBatches):
    """Class-uniform sampling with replacement: draws a class uniformly, then one of its items.

    label: (n,) int64, the class of every item. iterations: batches per epoch, any number, since
    sampling is with replacement.
    """

    def __init__(
        self,
        label: Tensor,
        batch_size: int,
        iterations: int,
        seed: int,
        reshuffle: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, reshuffle)
        self.iterations = iterations
        self.by_class = torch.argsort(label, stable=True)  # (n,): one class after the other
        _, self.sizes = torch.unique(label, return_counts=True)  # (C,), of the classes with items
        self.first = torch.cumsum(self.sizes, 0) - self.sizes

    def __len__(self) -> int:
        return self.iterations

    def batches(self) -> Iterator[Tensor]:
        draw = generator(self.seed, "class-uniform draws", self.epoch)
        shape = (self.iterations, self.batch_size)
        chosen = torch.randint(len(self.sizes), shape, generator=draw)
        place = torch.rand(shape, generator=draw, dtype=torch.double) * self.sizes[chosen]
        yield from self.by_class[self.first[chosen] + place.long()]


POOL = 50  # batches that are sorted by length together: enough for little padding


def bucket(order: Tensor, lengths: Tensor, batch_size: int, draw: torch.Generator) -> Tensor:
    """Regroup a shuffled order (n,) so that the items of a batch have about the same length.

    Each pool of POOL batches is sorted by length. Then the batches are shuffled, except the last
    one, which may be incomplete.
    """
    pools = [
        pool[torch.argsort(lengths[pool], stable=True)] for pool in order.split(POOL * batch_size)
    ]
    *full, last = torch.cat(pools).split(batch_size)
    shuffled = torch.randperm(len(full), generator=draw).tolist()
    return torch.cat([*(full[number] for number in shuffled), last])


class BatchesByLength:
    """Every item once, sorted by length, in batches of limited size: for evaluation.

    A batch has at most `batch_size` items and, padded, at most `steps` steps in total. A longer
    item forms a batch alone. One long item thus does not multiply the memory of a batch.
    """

    def __init__(self, lengths: Tensor, batch_size: int, steps: int = 65_536) -> None:
        order = torch.argsort(lengths, stable=True)
        self.batches: list[Tensor] = []
        begin = 0
        for end, length in enumerate(lengths[order].tolist()):
            size = end - begin  # items of the batch before this one, which is the longest so far
            if size == batch_size or (size > 0 and (size + 1) * length > steps):
                self.batches.append(order[begin:end])
                begin = end
        self.batches.append(order[begin:])

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


class SequentialBatches:
    """Consecutive slices of `count` items; the last one may be shorter."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.count, self.batch_size = count, batch_size

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[slice]:
        for first in range(0, self.count, self.batch_size):
            yield slice(first, min(first + self.batch_size, self.count))
