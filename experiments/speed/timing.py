"""Times of contenders that are measured side by side. Only their ratios are compared."""

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch

Work = Callable[[], Any]


class Ratio(NamedTuple):
    """The ratio of two contenders' times within a round: quartiles over the rounds."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(times: pd.DataFrame, of: str, to: str) -> Ratio:
    """times: (rounds, contenders)."""
    return quartiles(times[of] / times[to])


def quartiles(values: pd.Series) -> Ratio:
    return Ratio(*values.quantile([0.25, 0.5, 0.75]))


def bursts(works: Mapping[str, Work], seconds: float, shortest: float) -> dict[str, Work]:
    """Each work as many times in a row as the shortest, of so many seconds, fits into a burst.

    A single call of a millisecond would mostly measure what its predecessor left in the caches.
    """
    times = max(1, int(seconds / shortest))
    return {name: partial(_again, work, times) for name, work in works.items()}


def _again(work: Work, times: int) -> None:
    for _ in range(times):
        work()


class Stopwatch:
    """Times contenders in rounds. Every round also times the same matrix product, the pulse: the
    spread of its times shows how steady the machine is.

    pulse: seconds of this product so far, one per round.
    """

    def __init__(self) -> None:
        self.pulse: list[float] = []
        self._operands = torch.randn(1024, 256), torch.randn(256, 256)
        self._result = torch.empty(1024, 256)

    def side_by_side(self, works: Mapping[str, Work], rounds: int) -> pd.DataFrame:
        """Seconds of each work (rounds, contenders): `in_turns` without garbage collection."""
        with _without_collection():
            return self.in_turns({name: partial(_seconds, works[name]) for name in works}, rounds)

    def in_turns(self, contenders: Mapping[str, Callable[[], float]], rounds: int) -> pd.DataFrame:
        """Seconds (rounds, contenders), as the contenders themselves return them.

        Every round calls each contender once, in another order. A warm-up round is left out.
        """
        times = []
        for number in range(rounds + 1):
            if not gc.isenabled():
                gc.collect()
            order = random.Random(number).sample(list(contenders), len(contenders))
            self.pulse.append(_seconds(self._product))
            times.append({name: contenders[name]() for name in order})
        return pd.DataFrame(times[1:], columns=list(contenders))

    def _product(self) -> None:
        for _ in range(20):
            torch.mm(*self._operands, out=self._result)


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def _without_collection() -> Iterator[None]:
    gc.freeze()  # existing objects are not garbage of the contenders
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
