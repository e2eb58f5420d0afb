"""Quantiles as outputs of a network."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional

from rnnexp.errors import UserError


def checked_levels(quantiles: Sequence[float]) -> tuple[float, ...]:
    """The levels of quantiles.

    Raises:
        UserError: they are not ascending numbers between 0 and 1 with 0.5 among them.
    """
    levels = tuple(quantiles)
    if not all(isinstance(level, float) and 0 < level < 1 for level in levels):
        raise UserError(f"task.quantiles is {list(levels)}: a level lies between 0 and 1")
    if list(levels) != sorted(set(levels)):
        raise UserError(f"task.quantiles is {list(levels)}: the levels must ascend, each once")
    if levels and 0.5 not in levels:
        raise UserError(
            f"task.quantiles is {list(levels)}: it must contain 0.5, the point forecast"
        )
    return levels


def point_of(quantiles: Tensor, levels: Sequence[float]) -> Tensor:
    """The point forecast of quantiles (..., Q): the median, or without levels the only output."""
    return quantiles[..., list(levels).index(0.5) if levels else 0]


def ordered(outputs: Tensor, levels: Sequence[float]) -> Tensor:
    """Outputs (..., Q) as quantiles that do not cross; without levels as they are.

    The median is an output, and the others lie above and below it by sums of positive outputs.
    """
    if len(levels) < 2:
        return outputs
    middle = levels.index(0.5)
    median = outputs[..., middle : middle + 1]
    gaps = functional.softplus(outputs)
    running = term_by_term if outputs.is_cuda else torch.cumsum
    above = median + running(gaps[..., middle + 1 :], -1)
    below = median - running(gaps[..., :middle].flip(-1), -1).flip(-1)
    return torch.cat([below, median, above], -1)


def term_by_term(values: Tensor, axis: int) -> Tensor:
    """torch.cumsum, which on a GPU has no deterministic implementation in every version of torch;
    determinism=strict would refuse it."""
    if values.shape[axis] == 0:
        return values
    return torch.stack(list(accumulate(values.unbind(axis))), axis)
