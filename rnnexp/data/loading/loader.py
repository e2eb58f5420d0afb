"""The loader that Lightning iterates over."""

from collections.abc import Callable, Iterator
from typing import Any


class BatchLoader:
    """Maps `make_batch` over a sampler.

    A batch is gathered in one operation, so worker processes would not help. Unlike torch's
    DataLoader, this loader does not consume the global random state.
    """

    batch_sampler = None  # Lightning reads this attribute, then calls sampler.set_epoch

    def __init__(self, sampler: Any, make_batch: Callable[[Any], Any]) -> None:
        self.sampler, self.make_batch = sampler, make_batch

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        return map(self.make_batch, self.sampler)
