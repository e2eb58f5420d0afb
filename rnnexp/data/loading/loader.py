"""From a sampler to batches."""

from collections.abc import Callable, Iterator
from typing import Any


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
