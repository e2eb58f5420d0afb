"""Input projections of the fused path: W x_t + b for a block of steps, and their gradients.

A projection works outside of autograd and writes into buffers that it is given. It holds the input
weights of all gates and accumulates their gradients over the blocks. A few features are not
projected at all: they stand beside the hidden state, as [h; x_t; 1], and the product of each step
covers them.

In the shapes P is the number of gates, the weight is (I, P * H) and the bias (P * H,). The buffer
of a gate for S steps of R sequences is (rows, H), where rows is S * R or slightly larger; the extra
rows do not count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnexp.nn.representations import OneHot, Sequences

Tensors = Sequence[Tensor]

MAX_AUGMENTED_FEATURES = 32  # with more, one separate product for a block of steps is faster
ROW_ALIGNMENT = 16  # elements; a row of [h; x_t; 1] is padded to a multiple, for aligned loads


class FeatureProjection:
    """Projection of features: one product for each gate.

    The bias is the weight of one more feature that is always 1. So neither the bias nor its
    gradient needs a pass over memory of its own.
    """

    input_weights: list[Tensor] | None = None  # no inputs stand beside the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight = torch.cat([weight.detach(), bias.detach().unsqueeze(0)])
        self.gate_weights, self.gates = self.weight.chunk(gates, dim=1), gates

    def start_gradients(self) -> None:
        """Set the gradients of weight and bias to zero."""
        self.gradient = torch.zeros_like(self.weight)
        self.gate_gradients = self.gradient.chunk(self.gates, dim=1)

    @staticmethod
    def _with_one(values: Tensor, rows: int) -> Tensor:
        """(S, R, I) -> (rows, I + 1)"""
        count, features = values.shape[0] * values.shape[1], values.shape[2]
        inputs = values.new_empty(rows, features + 1)
        inputs[:count, :features] = values.flatten(0, 1)
        inputs[:count, features] = 1
        inputs[count:] = 0
        return inputs

    def write(self, values: Tensor, gates: Tensors, inputs: Tensor) -> None:
        """Write the projections of values (S, R, I) into P gates (rows, H); inputs: (S, R, 0)."""
        with_one = self._with_one(values, len(gates[0]))
        for gate, weight in zip(gates, self.gate_weights, strict=True):
            torch.mm(with_one, weight, out=gate)

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Add the gradients of weight and bias, from g_gates: P tensors (rows, H). Write the
        gradient of the values (S, R, I) into g_values, if given."""
        with_one = self._with_one(values, len(g_gates[0]))
        for g_gate, gradient in zip(g_gates, self.gate_gradients, strict=True):
            gradient.addmm_(with_one.t(), g_gate)
        if g_values is not None:
            _write_value_gradients(g_values, g_gates, [weight[:-1] for weight in self.gate_weights])

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: empty."""
        return self.gradient[:-1], self.gradient[-1]


def _write_value_gradients(g_values: Tensor, g_gates: Tensors, weights: Tensors) -> None:
    """Write the gradient of the values (S, R, I); weights: (I, H) for each gate."""
    total = g_gates[0].new_zeros(len(g_gates[0]), g_values.shape[2])
    for g_gate, weight in zip(g_gates, weights, strict=True):
        total.addmm_(g_gate, weight.t())
    count = g_values.shape[0] * g_values.shape[1]
    g_values.copy_(total[:count].view_as(g_values))


class AugmentedFeatures:
    """A few features that stand beside the hidden state, as [h; x_t; 1]; the weight of the 1 is the
    bias.

    Nothing is projected: the features and the 1 are copied into the workspace, and the products of
    the kernel cover them. This saves one pass over the gates.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gates: int, state_columns: int) -> None:
        self.features = len(weight)
        padding = -(state_columns + self.features + 1) % ROW_ALIGNMENT
        zeros = weight.new_zeros(padding, weight.shape[1])
        rows = torch.cat([weight.detach(), bias.detach().unsqueeze(0), zeros])
        self.input_weights: list[Tensor] | None = list(rows.chunk(gates, dim=1))  # (J, H) each
        self.gate_weights = weight.detach().chunk(gates, dim=1)

    def start_gradients(self) -> None:
        """Nothing to do: the kernel accumulates them, below those of the recurrent weights."""

    def write(self, values: Tensor, gates: Tensors, inputs: Tensor) -> None:
        """Copy values (S, R, I) into inputs (S, R, J); the gates do not change."""
        inputs[..., : self.features] = values
        inputs[..., self.features] = 1
        inputs[..., self.features + 1 :] = 0

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Write the gradient of the values (S, R, I) into g_values, if given, from g_gates: P
        tensors (rows, H)."""
        if g_values is not None:
            _write_value_gradients(g_values, g_gates, self.gate_weights)

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: for each augmented weight, in gate order, the
        gradient of its J rows of inputs."""
        rows = torch.cat(list(g_inputs), dim=1)
        return rows[: self.features], rows[self.features]


class OneHotProjection:
    """Projection of one-hot vectors: a lookup of rows of the weight."""

    input_weights: list[Tensor] | None = None  # no inputs stand beside the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self.gates = gates

    def start_gradients(self) -> None:
        """Set the gradients of weight and bias to zero."""
        self.gradient = torch.zeros_like(self.weight)
        self.bias_gradient = torch.zeros_like(self.bias)

    def write(self, values: Tensor, gates: Tensors, inputs: Tensor) -> None:
        """Write the projections of values (S, R), the positions of the ones, into P gates
        (rows, H); inputs: (S, R, 0)."""
        projections = (self.weight[values.flatten()] + self.bias).chunk(self.gates, dim=1)
        for gate, projected in zip(gates, projections, strict=True):
            gate[: values.numel()] = projected

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Add the gradients of weight and bias, from g_gates: P tensors (rows, H). The values are
        integers and have no gradient."""
        g_rows = torch.cat([g_gate[: values.numel()] for g_gate in g_gates], dim=1)
        self.gradient.index_add_(0, values.flatten(), g_rows)
        self.bias_gradient += g_rows.sum(0)

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: empty."""
        return self.gradient, self.bias_gradient


Projection = FeatureProjection | AugmentedFeatures | OneHotProjection


def projection_of(
    x: Sequences, weight: Tensor, bias: Tensor, gates: int, state_columns: int
) -> Projection:
    """The projection for this kind of sequences.

    state_columns: how many columns of states the inputs may stand beside; 0 if they may not.
    """
    if isinstance(x, OneHot):
        return OneHotProjection(weight, bias, gates)
    if state_columns and x.values.shape[2] <= MAX_AUGMENTED_FEATURES:
        return AugmentedFeatures(weight, bias, gates, state_columns)
    return FeatureProjection(weight, bias, gates)
