"""Representations: a batch of sequences that can be multiplied.

`x.project(W, b)` gives W x_t + b for every step at once and `x.dense()` the raw inputs; `x.lengths`
says how many steps of each sequence are real.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Sequences of feature vectors.

    values: (T, B, F). lengths: (B,) integers, or None where every sequence has T steps.
    """

    values: Tensor
    lengths: Tensor | None = None

    @property
    def steps(self) -> int:
        return self.values.shape[0]

    @property
    def batch(self) -> int:
        return self.values.shape[1]

    def project(self, weight: Tensor, bias: Tensor) -> Tensor:
        """weight: (F, out), bias: (out,) -> (T, B, out), as one product over all steps."""
        flat = self.values.reshape(-1, self.values.shape[-1])  # (T * B, F)
        return bias.addmm(flat, weight).view(self.steps, self.batch, -1)

    def dense(self) -> Tensor:
        """The inputs themselves: (T, B, F)."""
        return self.values
