"""The losses of quantile forecasts."""

from collections.abc import Sequence

import torch
from torch import Tensor


def quantile_loss(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> Tensor:
    """The pinball loss of every quantile: l (y - q) where y >= q, and (1 - l) (q - y) where y < q.

    quantiles (..., Q), target (...), Q levels in (0, 1) -> (..., Q). NaN where the target is NaN.
    """
    level = torch.as_tensor(levels, dtype=quantiles.dtype, device=quantiles.device)
    error = target.unsqueeze(-1) - quantiles
    return torch.maximum(level * error, (level - 1) * error)


def pinball(quantiles: Tensor, target: Tensor, levels: Sequence[float], weight: Tensor) -> Tensor:
    """The mean pinball loss over all levels of the steps with weight True; 0 without such a step.

    quantiles (n, H, Q), target (n, H), weight bool (n, H). A target with weight False may be NaN:
    it touches neither the loss nor a gradient.
    """
    losses = quantile_loss(quantiles[weight], target[weight], levels)
    return losses.sum() / max(losses.numel(), 1)
