"""Learning-rate schedules over a whole run of a given number of steps."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class OneCycle(LambdaLR):
    """One cycle of the learning rate: along half a cosine up from a small value to the optimiser's
    rate, then down to almost zero (Smith and Topin 2017, arXiv 1708.07120).

    steps: length of the run, in optimiser steps. warm_up: fraction of the run with a rising rate.
    start, end: the first and last rate, as fractions of the optimiser's rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        warm_up: float = 0.3,
        start: float = 0.04,
        end: float = 4e-6,
    ) -> None:
        peak = max(1.0, warm_up * steps)

        def factor(step: int) -> float:
            if step < peak:
                return _cosine(start, 1.0, step / peak)
            return _cosine(1.0, end, min(1.0, (step - peak) / max(1.0, steps - peak)))

        super().__init__(optimizer, factor)


class Cosine(LambdaLR):
    """Cosine annealing without restarts: the rate falls from the optimiser's rate to the fraction
    `end` of it (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5).

    steps: length of the run, in optimiser steps.
    """

    def __init__(self, optimizer: Optimizer, steps: int, end: float = 0.0) -> None:
        super().__init__(optimizer, lambda step: _cosine(1.0, end, min(1.0, step / steps)))


def _cosine(first: float, last: float, part: float) -> float:
    """Half a cosine from `first` (part = 0) to `last` (part = 1)."""
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2
