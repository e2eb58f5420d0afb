"""Input projections of the fused path: W x_t + b for a block of steps, and their gradients.

A projection does not use autograd and writes to preallocated buffers. It holds the input weights of
all gates, by the groups of gates that share a product, and accumulates their gradients over the
blocks. Small inputs to large steps are not projected: they are concatenated to the hidden state,
[h; x_t; 1], and the recurrent product of each step covers them.

P is the number of gates. The weight has shape (I, P * H) and the bias (P * H,). A group of n gates
has n * H columns of them. Its buffer for S steps of R sequences has shape (rows, n * H), where rows
is S * R or slightly larger; the extra rows are ignored.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnexp.nn.representations import OneHot, Sequences

Tensors = Sequence[Tensor]

MAX_AUGMENTED_FEATURES = 32  # with more, a separate product for each block of steps is faster
ROW_ALIGNMENT = 16  # elements; rows of [h; x_t; 1] are padded to a multiple, for aligned loads


class FeatureProjection:
    """Projection of features: one product for each group of gates.

    The bias is the weight of an extra feature that is always 1. This saves separate passes over
    memory for the bias and its gradient.
    """

    input_weights: list[Tensor] | None = None  # no inputs are concatenated to the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, columns: Sequence[int]) -> None:
        self.weight = torch.cat([weight.detach(), bias.detach().unsqueeze(0)])
        self.group_weights, self.columns = self.weight.split(columns, dim=1), columns

    def start_gradients(self) -> None:
        """Set the gradients of weight and bias to zero."""
        self.gradient = torch.zeros_like(self.weight)
        self.group_gradients = self.gradient.split(self.columns, dim=1)

    @staticmethod
    def _with_one(values: Tensor, rows: int) -> Tensor:
        """Flatten and append a 1: (S, R, I) -> (rows, I + 1); extra rows are zero."""
        count, features = values.shape[0] * values.shape[1], values.shape[2]
        inputs = values.new_empty(rows, features + 1)
        inputs[:count, :features] = values.flatten(0, 1)
        inputs[:count, features] = 1
        inputs[count:] = 0
        return inputs

    def write(self, values: Tensor, groups: Tensors, inputs: Tensor) -> None:
        """Write the projections of values (S, R, I) to the groups; inputs: (S, R, 0)."""
        with_one = self._with_one(values, len(groups[0]))
        for group, weight in zip(groups, self.group_weights, strict=True):
            torch.mm(with_one, weight, out=group)

    def add_gradients(self, values: Tensor, g_groups: Tensors, g_values: Tensor | None) -> None:
        """Accumulate the gradients of weight and bias from those of the groups. Write the gradient
        of the values (S, R, I) to g_values unless it is None."""
        with_one = self._with_one(values, len(g_groups[0]))
        for g_group, gradient in zip(g_groups, self.group_gradients, strict=True):
            gradient.addmm_(with_one.t(), g_group)
        if g_values is not None:
            weights = [weight[:-1] for weight in self.group_weights]
            _write_value_gradients(g_values, g_groups, weights)

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: empty."""
        return self.gradient[:-1], self.gradient[-1]


def _write_value_gradients(g_values: Tensor, g_groups: Tensors, weights: Tensors) -> None:
    """Write the gradient of the values (S, R, I) to g_values; weights: (I, n * H) by group."""
    total = g_groups[0].new_zeros(len(g_groups[0]), g_values.shape[2])
    for g_group, weight in zip(g_groups, weights, strict=True):
        total.addmm_(g_group, weight.t())
    count = g_values.shape[0] * g_values.shape[1]
    g_values.copy_(total[:count].view_as(g_values))


class AugmentedFeatures:
    """A few features, concatenated to the hidden state as [h; x_t; 1]; the weight of the 1 is the
    bias.

    The features and the 1 are copied to the workspace instead of being projected, and the recurrent
    products of the kernel cover them. This saves one pass over the gates.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, columns: Sequence[int], state_columns: int
    ) -> None:
        self.features = len(weight)
        padding = -(state_columns + self.features + 1) % ROW_ALIGNMENT
        zeros = weight.new_zeros(padding, weight.shape[1])
        rows = torch.cat([weight.detach(), bias.detach().unsqueeze(0), zeros])
        self.input_weights: list[Tensor] | None = list(rows.split(columns, dim=1))  # (J, n * H)
        self.group_weights = weight.detach().split(columns, dim=1)

    def start_gradients(self) -> None:
        """Do nothing: the kernel accumulates the gradients of the augmented weights."""

    def write(self, values: Tensor, groups: Tensors, inputs: Tensor) -> None:
        """Copy values (S, R, I) to inputs (S, R, J); the gates do not change."""
        inputs[..., : self.features] = values
        inputs[..., self.features] = 1
        inputs[..., self.features + 1 :] = 0

    def add_gradients(self, values: Tensor, g_groups: Tensors, g_values: Tensor | None) -> None:
        """Write the gradient of the values (S, R, I) to g_values unless it is None."""
        if g_values is not None:
            _write_value_gradients(g_values, g_groups, self.group_weights)

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: gradient of the input rows, J of them, of
        each augmented weight, in gate order."""
        rows = torch.cat(list(g_inputs), dim=1)
        return rows[: self.features], rows[self.features]


class OneHotProjection:
    """Projection of one-hot vectors: a row lookup in the weight."""

    input_weights: list[Tensor] | None = None  # no inputs are concatenated to the hidden state

    def __init__(self, weight: Tensor, bias: Tensor, columns: Sequence[int]) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self.columns = columns

    def start_gradients(self) -> None:
        """Set the gradients of weight and bias to zero."""
        self.gradient = torch.zeros_like(self.weight)
        self.bias_gradient = torch.zeros_like(self.bias)

    def write(self, values: Tensor, groups: Tensors, inputs: Tensor) -> None:
        """Write the projections of values (S, R), the indices of the ones, to the groups; inputs:
        (S, R, 0)."""
        projections = (self.weight[values.flatten()] + self.bias).split(self.columns, dim=1)
        for group, projected in zip(groups, projections, strict=True):
            group[: values.numel()] = projected

    def add_gradients(self, values: Tensor, g_groups: Tensors, g_values: Tensor | None) -> None:
        """Accumulate the gradients of weight and bias from those of the groups. The values are
        integers and have no gradient."""
        g_rows = torch.cat([g_group[: values.numel()] for g_group in g_groups], dim=1)
        self.gradient.index_add_(0, values.flatten(), g_rows)
        self.bias_gradient += g_rows.sum(0)

    def gradients(self, g_inputs: Tensors) -> tuple[Tensor, Tensor]:
        """The gradients of weight and bias; g_inputs: empty."""
        return self.gradient, self.bias_gradient


Projection = FeatureProjection | AugmentedFeatures | OneHotProjection


def projection_of(
    x: Sequences, weight: Tensor, bias: Tensor, columns: Sequence[int], state_columns: int
) -> Projection:
    """The projection for these sequences.

    columns: n * H of each group of n gates. state_columns: width of the state in [h; x_t; 1]; 0 if
    the inputs are projected beforehand.
    """
    if isinstance(x, OneHot):
        return OneHotProjection(weight, bias, columns)
    if state_columns and x.values.shape[2] <= MAX_AUGMENTED_FEATURES:
        return AugmentedFeatures(weight, bias, columns, state_columns)
    return FeatureProjection(weight, bias, columns)
