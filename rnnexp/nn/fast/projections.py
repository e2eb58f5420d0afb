"""Input projections of the fused path: W x_t + b for a block of steps, and their gradients.

A projection does not use autograd and writes to preallocated buffers. It holds the input weights of
all gates and accumulates their gradients over the blocks. Small inputs are not projected: they are
concatenated to the hidden state, [h; x_t; 1], and the recurrent product of each step covers them.

P is the number of gates. The weight has shape (I, P * H) and the bias (P * H,). The buffer of a
gate for S steps of R sequences has shape (rows, H), where rows is S * R or slightly larger; the
extra rows are ignored.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnexp.nn.representations import OneHot, Sequences

Tensors = Sequence[Tensor]

MAX_AUGMENTED_FEATURES = 32  # with more, a separate product for each block of steps is faster
ROW_ALIGNMENT = 16  # elements; rows of [h; x_t; 1] are padded to a multiple, for aligned loads


class FeatureProjection:
    """Projection of features: one product for each gate.

    The bias is the weight of an extra feature that is always 1. This saves separate passes over
    memory for the bias and its gradient.
    """

    input_weights: list[Tensor] | None = None  # no inputs are concatenated to the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight = torch.cat([weight.detach(), bias.detach().unsqueeze(0)])
        self.gate_weights, self.gates = self.weight.chunk(gates, dim=1), gates

    def start_gradients(self) -> None:
        """Set the gradients of weight and bias to zero."""
        self.gradient = torch.zeros_like(self.weight)
        self.gate_gradients = self.gradient.chunk(self.gates, dim=1)

    @staticmethod
    def _with_one(values: Tensor, rows: int) -> Tensor:
        """Flatten and append a 1: (S, R, I) -> (rows, I + 1); extra rows are zero."""
        count, features = values.shape[0] * values.shape[1], values.shape[2]
        inputs = values.new_empty(rows, features + 1)
        inputs[:count, :features] = values.flatten(0, 1)
        inputs[:count, features] = 1
        inputs[count:] = 0
        return inputs

    def write(self, values: Tensor, gates: Tensors, inputs: Tensor) -> None:
        """Write the projections of values (S, R, I) to P gates (rows, H); inputs: (S, R, 0)."""
        with_one = self._with_one(values, len(gates[0]))
        for gate, weight in zip(gates, self.gate_weights, strict=True):
            torch.mm(with_one, weight, out=gate)

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Accumulate the gradients of weight and bias from g_gates, P tensors (rows, H). Write the
        gradient of the values (S, R, I) to g_values unless it is None."""
        with_one = self._with_one(values, len(g_gates[0]))
        for g_gate, gradient in zip(g_gates, self.gate_gradients, strict=True):
            gradient.addmm_(with_one.t(), g_gate)
        if g_values is not None:
            _write_value_gradients(g_values, g_gates, [weight[:-1] for weight in self.gate_weights])

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: empty."""
        return self.gradient[:-1], self.gradient[-1]


def _write_value_gradients(g_values: Tensor, g_gates: Tensors, weights: Tensors) -> None:
    """Write the gradient of the values (S, R, I) to g_values; weights: (I, H) for each gate."""
    total = g_gates[0].new_zeros(len(g_gates[0]), g_values.shape[2])
    for g_gate, weight in zip(g_gates, weights, strict=True):
        total.addmm_(g_gate, weight.t())
    count = g_values.shape[0] * g_values.shape[1]
    g_values.copy_(total[:count].view_as(g_values))


class AugmentedFeatures:
    """A few features, concatenated to the hidden state as [h; x_t; 1]; the weight of the 1 is the
    bias.

    The features and the 1 are copied to the workspace instead of being projected, and the recurrent
    products of the kernel cover them. This saves one pass over the gates.
    """

    def __init__(self, weight: Tensor, bias: Tensor, gates: int, state_columns: int) -> None:
        self.features = len(weight)
        padding = -(state_columns + self.features + 1) % ROW_ALIGNMENT
        zeros = weight.new_zeros(padding, weight.shape[1])
        rows = torch.cat([weight.detach(), bias.detach().unsqueeze(0), zeros])
        self.input_weights: list[Tensor] | None = list(rows.chunk(gates, dim=1))  # (J, H) each
        self.gate_weights = weight.detach().chunk(gates, dim=1)

    def start_gradients(self) -> None:
        """Do nothing: the kernel accumulates the gradients of the augmented weights."""

    def write(self, values: Tensor, gates: Tensors, inputs: Tensor) -> None:
        """Copy values (S, R, I) to inputs (S, R, J); the gates do not change."""
        inputs[..., : self.features] = values
        inputs[..., self.features] = 1
        inputs[..., self.features + 1 :] = 0

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Write the gradient of the values (S, R, I) to g_values unless it is None; g_gates: P
        tensors (rows, H)."""
        if g_values is not None:
            _write_value_gradients(g_values, g_gates, self.gate_weights)

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: gradient of the input rows, J of them, of
        each augmented weight, in gate order."""
        rows = torch.cat(list(g_inputs), dim=1)
        return rows[: self.features], rows[self.features]


class OneHotProjection:
    """Projection of one-hot vectors: a row lookup in the weight."""

    input_weights: list[Tensor] | None = None  # no inputs are concatenated to the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, gates: int) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self.gates = gates

    def start_gradients(self) -> None:
        """Set the gradients of weight and bias to zero."""
        self.gradient = torch.zeros_like(self.weight)
        self.bias_gradient = torch.zeros_like(self.bias)

    def write(self, values: Tensor, gates: Tensors, inputs: Tensor) -> None:
        """Write the projections of values (S, R), the indices of the ones, to P gates (rows, H);
        inputs: (S, R, 0)."""
        projections = (self.weight[values.flatten()] + self.bias).chunk(self.gates, dim=1)
        for gate, projected in zip(gates, projections, strict=True):
            gate[: values.numel()] = projected

    def add_gradients(self, values: Tensor, g_gates: Tensors, g_values: Tensor | None) -> None:
        """Accumulate the gradients of weight and bias from g_gates, P tensors (rows, H). The values
        are integers and have no gradient."""
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
    """The projection for these sequences.

    state_columns: width of the state in [h; x_t; 1]; 0 if the kernel needs projected inputs.
    """
    if isinstance(x, OneHot):
        return OneHotProjection(weight, bias, gates)
    if state_columns and x.values.shape[2] <= MAX_AUGMENTED_FEATURES:
        return AugmentedFeatures(weight, bias, gates, state_columns)
    return FeatureProjection(weight, bias, gates)
