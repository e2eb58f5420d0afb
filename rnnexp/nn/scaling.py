"""Min-max scaling of each series, and its inverse. The limits are buffers of the network."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


def with_mask(scaled: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled values (..., C), 0 where they are missing, and beside them their mask, 1 where they
    were observed: (..., 2 C). mask: (..., C) bool; None: the values as they are, (..., C)."""
    if mask is None:
        return scaled
    return torch.cat([scaled.masked_fill(~mask, 0), mask.to(scaled.dtype)], -1)


class Scaling(nn.Module):
    """(x - minimum) / range for every series and column. Checkpoints contain minimum and range.

    minimum, range: (S, C), in original units; column 0 is the target. change: (S,), the standard
    deviation of the difference between successive values of the target, in original units.

    Values in original units are float64, and so is `minimum`: float32 has seven digits, and a meter
    that reads 1,000,000,103 would lose its last two. Values are subtracted before they are rounded
    to the precision of the network, and predictions are added to a value in float64.
    """

    minimum: Tensor  # float64, whatever the precision of the network
    range: Tensor
    change: Tensor

    def __init__(
        self, minimum: list[list[float]], range: list[list[float]], change: list[float]
    ) -> None:
        super().__init__()
        self.register_buffer("minimum", torch.tensor(minimum, dtype=torch.float64))
        self.register_buffer("range", torch.tensor(range))
        self.register_buffer("change", torch.tensor(change))

    @classmethod
    def unfitted(cls, series: int, columns: int) -> Self:
        """The identity for this many series and columns. Fitting the scaling, or loading a
        checkpoint, replaces the values."""
        minimum, extent = [[0.0] * columns] * series, [[1.0] * columns] * series
        return cls(minimum, extent, [1.0] * series)

    def forward(self, values: Tensor, series: Tensor) -> Tensor:
        """values (B, T, C) in original units, series (B,), their indices -> (B, T, C), scaled so
        that the values of the fit lie between 0 and 1."""
        above = (values - self.minimum[series].unsqueeze(1)).to(self.range.dtype)
        return above / self.range[series].unsqueeze(1)

    def scale_target(self, target: Tensor, series: Tensor) -> Tensor:
        """Values of the target column: (B, K) in original units -> scaled."""
        above = (target - self.minimum[series, :1]).to(self.range.dtype)
        return above / self.range[series, :1]

    def invert_target(self, scaled: Tensor, series: Tensor) -> Tensor:
        """The inverse of `scale_target`: (B, K) scaled -> original units, float64."""
        return scaled * self.range[series, :1] + self.minimum[series, :1]

    def scale_change(self, change: Tensor, series: Tensor) -> Tensor:
        """Differences between values of the target column: (B, K) in original units -> scaled."""
        return change.to(self.change.dtype) / self.change[series].unsqueeze(1)

    def invert_change(self, scaled: Tensor, series: Tensor) -> Tensor:
        """The inverse of `scale_change`: (B, K) scaled -> original units."""
        return scaled * self.change[series].unsqueeze(1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """`to`, `float`, and Lightning's precisions move `minimum`, but do not cast it."""
        exact = self.minimum
        super()._apply(fn, recurse)
        if self.minimum.dtype != exact.dtype:
            self.minimum = exact.to(self.minimum.device)
        return self
