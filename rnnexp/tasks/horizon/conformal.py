"""Conformal adjustment: quantiles are moved so that they hold on the validation windows."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def margins_of(quantiles: Tensor, target: Tensor, unit: Tensor, levels: Sequence[float]) -> Tensor:
    """How far each quantile has to be moved, in units of the scale: (Q,), 0 for the median.

    The two ends of an interval are moved by themselves (Romano, Patterson and Candes 2019, arXiv
    1905.03222, theorem 2): the upper quantile of a level l is raised by the value that
    ceil(l (n + 1)) of the n distances y - q do not exceed, and a lower one alike. Their coverage is
    guaranteed if the test windows are exchangeable with those of the validation, which those of a
    time series are but roughly.

    quantiles (n, H, Q), target (n, H), NaN where there is none, unit (n,): the scale of the series.
    """
    above = (target.unsqueeze(-1) - quantiles) / unit.view(-1, 1, 1)
    above = above[~target.isnan()].sort(dim=0).values  # (N, Q)
    count = len(above)
    margins = torch.zeros(len(levels), dtype=above.dtype)
    if count == 0:
        return margins
    for place, level in enumerate(levels):
        if level > 0.5:
            margins[place] = above[min(math.ceil(level * (count + 1)), count) - 1, place]
        elif level < 0.5:
            margins[place] = above[max(math.floor(level * (count + 1)), 1) - 1, place]
    return margins


def moved(quantiles: Tensor, margins: Tensor, unit: Tensor, levels: Sequence[float]) -> Tensor:
    """Quantiles (n, H, Q) moved by the margins (Q,) in units (n,). They still do not cross: one
    that would pass its inner neighbour stays there."""
    if len(levels) < 2:
        return quantiles
    found = quantiles + margins * unit.view(-1, 1, 1)
    middle = levels.index(0.5)
    above = found[..., middle:].cummax(-1).values
    below = found[..., : middle + 1].flip(-1).cummin(-1).values.flip(-1)
    return torch.cat([below[..., :-1], above], -1)
