"""Times that are measured side by side: what counts is their ratio."""

import gc
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd
import torch

Work = Callable[[], Any]


class Ratio(NamedTuple):
    """Of two contenders' times in the same round: the quartiles over the rounds."""

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


class Stopwatch:
    """Runs contenders in rounds, and in every round a product that is always the same: how much
    its times differ says how steady the machine is.

    pulse: seconds of that product, so far.
    """

    def __init__(self) -> None:
        self.pulse: list[float] = []
        self._operands = torch.randn(1024, 256), torch.randn(256, 256)
        self._result = torch.empty(1024, 256)

    def side_by_side(self, contenders: Mapping[str, Work], rounds: int) -> pd.DataFrame:
        """Seconds (rounds, contenders). In every round each is run once, in another order; a first
        round, in which they warm up, does not count."""
        times = []
        gc.freeze()  # what is there already is no contender's garbage
        gc.disable()
        try:
            for number in range(rounds + 1):
                gc.collect()
                order = random.Random(number).sample(list(contenders), len(contenders))
                self.pulse.append(_seconds(self._product))
                times.append({name: _seconds(contenders[name]) for name in order})
        finally:
            gc.enable()
            gc.unfreeze()
        return pd.DataFrame(times[1:], columns=list(contenders))

    def _product(self) -> None:
        for _ in range(20):
            torch.mm(*self._operands, out=self._result)


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
