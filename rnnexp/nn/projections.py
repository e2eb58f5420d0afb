"""Input projections of the fused path: W x_t + b for a block of steps, and the gradients of it.

Outside of autograd, in memory that is given. A projection holds the weights of all gates, and adds
up their gradients from block to block.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnexp.nn.representations import OneHot, Sequences

Tensors = Sequence[Tensor]


class FeatureProjection:
    """Of features: one product a gate.

    The bias is the weight of one more feature that is always 1: it costs no pass over memory of its
    own, nor does its gradient.

    weight: (I, P * H), bias: (P * H,), of P gates.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight = torch.cat([weight.detach(), bias.detach().unsqueeze(0)])
        self.of_gates, self.gates = self.weight.chunk(gates, dim=1), gates

    def start_gradients(self) -> None:
        self.gradient = torch.zeros_like(self.weight)
        self.gradients_of_gates = self.gradient.chunk(self.gates, dim=1)

    @staticmethod
    def _with_one(values: Tensor) -> Tensor:
        """(S, R, I) -> (S * R, I + 1)"""
        return torch.cat(
            [values, values.new_ones(1, 1, 1).expand(*values.shape[:2], 1)], 2
        ).flatten(0, 1)

    def write(self, values: Tensor, gates: Tensors) -> None:
        """values: (S, R, I) -> P gates (S, R, H)."""
        inputs = self._with_one(values)
        for gate, weight in zip(gates, self.of_gates, strict=True):
            torch.mm(inputs, weight, out=gate.flatten(0, 1))

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """From those of P gates (S, R, H); those of the values (S, R, I) are written."""
        inputs = self._with_one(values)
        for g_gate, gradient in zip(g_gates, self.gradients_of_gates, strict=True):
            gradient.addmm_(inputs.t(), g_gate.flatten(0, 1))
        if g_values is not None:
            g_values.zero_()
            for g_gate, weight in zip(g_gates, self.of_gates, strict=True):
                g_values += g_gate @ weight[:-1].t()

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Of weight and bias."""
        return self.gradient[:-1], self.gradient[-1]


class OneHotProjection:
    """Of one-hot vectors: rows of the weight.

    weight: (I, P * H), bias: (P * H,), of P gates.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self.gates = gates

    def start_gradients(self) -> None:
        self.gradient, self.of_bias = torch.zeros_like(self.weight), torch.zeros_like(self.bias)

    def write(self, values: Tensor, gates: Tensors) -> None:
        """values: (S, R), which entry is one -> P gates (S, R, H)."""
        rows = (self.weight[values] + self.bias).chunk(self.gates, dim=2)
        for gate, row in zip(gates, rows, strict=True):
            gate.copy_(row)

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """From those of P gates (S, R, H); which entry is one has none."""
        g_rows = torch.cat([g_gate.flatten(0, 1) for g_gate in g_gates], dim=1)
        self.gradient.index_add_(0, values.flatten(), g_rows)
        self.of_bias += g_rows.sum(0)

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Of weight and bias."""
        return self.gradient, self.of_bias


Projection = FeatureProjection | OneHotProjection


def projection_of(x: Sequences, weight: Tensor, bias: Tensor, gates: int) -> Projection:
    """The one for this kind of sequences."""
    kind = OneHotProjection if isinstance(x, OneHot) else FeatureProjection
    return kind(weight, bias, gates)
