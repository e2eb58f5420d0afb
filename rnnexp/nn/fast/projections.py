"""Input projections of the fused path: W x_t + b for a block of steps, and the gradients of it.

Outside of autograd, in memory that is given. A projection holds the weights of all gates, and adds
up their gradients from block to block. A few features are not projected at all: they stand beside
the hidden state, as [h; x_t; 1], and the step's own products are over all of it.

In all of them P is the number of gates, weight is (I, P * H) and bias (P * H,). A gate's memory for
S steps of R sequences is (rows, H), of S * R rows or some more, which do not count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnexp.nn.representations import OneHot, Sequences

Tensors = Sequence[Tensor]

FEW = 32  # features, of which there are enough if a product of their own shall pay
ALIGNED = 16  # numbers; a row of [h; x_t; 1] is a multiple of so many, for the processor's loads


class FeatureProjection:
    """Of features: one product a gate.

    The bias is the weight of one more feature that is always 1: it costs no pass over memory of its
    own, nor does its gradient.
    """

    joined: list[Tensor] | None = None  # weights of the inputs that stand beside the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight = torch.cat([weight.detach(), bias.detach().unsqueeze(0)])
        self.of_gates, self.gates = self.weight.chunk(gates, dim=1), gates

    def start_gradients(self) -> None:
        self.gradient = torch.zeros_like(self.weight)
        self.gradients_of_gates = self.gradient.chunk(self.gates, dim=1)

    @staticmethod
    def _with_one(values: Tensor, rows: int) -> Tensor:
        """(S, R, I) -> (rows, I + 1)"""
        count, features = values.shape[0] * values.shape[1], values.shape[2]
        inputs = values.new_empty(rows, features + 1)
        inputs[:count, :features] = values.flatten(0, 1)
        inputs[:count, features] = 1
        inputs[count:] = 0
        return inputs

    def write(self, values: Tensor, gates: Tensors, beside: Tensor) -> None:
        """values: (S, R, I) -> P gates (rows, H); beside: (S, R, 0)."""
        inputs = self._with_one(values, len(gates[0]))
        for gate, weight in zip(gates, self.of_gates, strict=True):
            torch.mm(inputs, weight, out=gate)

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """From those of P gates (rows, H); those of the values (S, R, I) are written."""
        inputs = self._with_one(values, len(g_gates[0]))
        for g_gate, gradient in zip(g_gates, self.gradients_of_gates, strict=True):
            gradient.addmm_(inputs.t(), g_gate)
        if g_values is not None:
            _add_values(g_values, g_gates, [weight[:-1] for weight in self.of_gates])

    def gradients(self, below: Tensors) -> tuple[Tensor, Tensor]:
        """Of weight and bias; below: empty."""
        return self.gradient[:-1], self.gradient[-1]


def _add_values(g_values: Tensor, g_gates: Tensors, weights: Tensors) -> None:
    """The gradient of the values (S, R, I), written; weights: (I, H) for each gate."""
    total = g_gates[0].new_zeros(len(g_gates[0]), g_values.shape[2])
    for g_gate, weight in zip(g_gates, weights, strict=True):
        total.addmm_(g_gate, weight.t())
    count = g_values.shape[0] * g_values.shape[1]
    g_values.copy_(total[:count].view_as(g_values))


class JoinedFeatures:
    """Of a few features: nothing but a copy of them, and of the 1 whose weight is the bias, to
    where they stand beside the hidden state. The gates need not be passed over for their sake.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gates: int, beside: int) -> None:
        self.features = len(weight)
        filled = -(beside + self.features + 1) % ALIGNED
        zeros = weight.new_zeros(filled, weight.shape[1])
        rows = torch.cat([weight.detach(), bias.detach().unsqueeze(0), zeros])
        self.joined: list[Tensor] | None = list(rows.chunk(gates, dim=1))
        self.of_gates = weight.detach().chunk(gates, dim=1)

    def start_gradients(self) -> None:
        """They are added up below those of the recurrent weights."""

    def write(self, values: Tensor, gates: Tensors, beside: Tensor) -> None:
        """values: (S, R, I) -> beside: (S, R, J); the gates stay as they are."""
        beside[..., : self.features] = values
        beside[..., self.features] = 1
        beside[..., self.features + 1 :] = 0

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Those of the values (S, R, I) are written, from those of P gates (rows, H)."""
        if g_values is not None:
            _add_values(g_values, g_gates, self.of_gates)

    def gradients(self, below: Tensors) -> tuple[Tensor, Tensor]:
        """Of weight and bias; below: in the order of the gates the gradients of J rows."""
        rows = torch.cat(list(below), dim=1)
        return rows[: self.features], rows[self.features]


class OneHotProjection:
    """Of one-hot vectors: rows of the weight."""

    joined: list[Tensor] | None = None

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self.gates = gates

    def start_gradients(self) -> None:
        self.gradient, self.of_bias = torch.zeros_like(self.weight), torch.zeros_like(self.bias)

    def write(self, values: Tensor, gates: Tensors, beside: Tensor) -> None:
        """values: (S, R), which entry is one -> P gates (rows, H); beside: (S, R, 0)."""
        projections = (self.weight[values.flatten()] + self.bias).chunk(self.gates, dim=1)
        for gate, projected in zip(gates, projections, strict=True):
            gate[: values.numel()] = projected

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """From those of P gates (rows, H); which entry is one has none."""
        g_rows = torch.cat([g_gate[: values.numel()] for g_gate in g_gates], dim=1)
        self.gradient.index_add_(0, values.flatten(), g_rows)
        self.of_bias += g_rows.sum(0)

    def gradients(self, below: Tensors) -> tuple[Tensor, Tensor]:
        """Of weight and bias; below: empty."""
        return self.gradient, self.of_bias


Projection = FeatureProjection | JoinedFeatures | OneHotProjection


def projection_of(
    x: Sequences, weight: Tensor, bias: Tensor, gates: int, beside: int
) -> Projection:
    """The one for this kind of sequences; beside: how many columns of states inputs may stand
    beside, 0 where they may not."""
    if isinstance(x, OneHot):
        return OneHotProjection(weight, bias, gates)
    if beside and x.values.shape[2] <= FEW:
        return JoinedFeatures(weight, bias, gates, beside)
    return FeatureProjection(weight, bias, gates)
