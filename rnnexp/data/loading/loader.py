"""The loader that Lightning iterates over."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rnnexp.data.loading.samplers import TrainingBatches
from rnnexp.process.group import rank_and_size


class Share(NamedTuple):
    """One process's share of a training batch.

    items: of the whole batch. counts: False if the batch has fewer items than there are processes,
    and none is left for this one: its share is then an item of another's, and has no weight.
    """

    batch: Any
    items: int
    counts: bool


class BatchLoader:
    """Maps `make_batch` over a sampler.

    A batch is gathered in one operation, so worker processes would not help. Unlike torch's
    DataLoader, this loader does not consume the global random state.

    In a group of processes, each draws the same training batches and makes its `Share` of them.
    """

    batch_sampler = None  # Lightning reads this attribute, then calls sampler.set_epoch

    def __init__(self, sampler: Any, make_batch: Callable[[Any], Any]) -> None:
        self.sampler, self.make_batch = sampler, make_batch

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        rank, size = rank_and_size()
        if size > 1 and isinstance(self.sampler, TrainingBatches):
            return (self._share(items, rank, size) for items in self.sampler)
        return map(self.make_batch, self.sampler)

    def _share(self, items: Any, rank: int, size: int) -> Share:
        own = items[rank::size].contiguous()  # of sequences, all lengths
        counts = len(own) > 0
        return Share(self.make_batch(own if counts else items[:1]), len(items), counts)
