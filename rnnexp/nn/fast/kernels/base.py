"""The base class of the kernels, and the buffers that a kernel reads and writes.

On the plain path, autograd records every operation of a step and allocates its result. A kernel
writes to preallocated buffers and has a hand-written backward pass. `rnnexp.nn.fast.fused` runs it
over the steps. The equations of a cell thus exist twice: in `rnnexp.nn.cells` for the reader, and
in a kernel for speed. Tests compare the two.

A tensor of one step has shape (R, H): R sequences, H hidden units. A tensor of S steps is flattened
to (rows, H), where rows is S * R or slightly larger; gradients are zero in the extra rows. The name
g_x denotes the gradient of the loss with respect to x.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnexp.nn.fast.tuning import Tuning

# (gradient of y, y) -> gradient of x, where y = activation(x). The result is written to
# `grad_input`.
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input

# For one sequence, memory bandwidth limits the product with a weight, so cores share the weight. A
# weight of fewer elements (2**18 float32 are 1 MiB) fits into the cache of a core and is not split.
MIN_SPLIT_WEIGHT = 2**18  # elements
MIN_SPLIT_COLUMNS = 128  # columns per piece; a core keeps so many sums in its registers


class StepBuffers(NamedTuple):
    """What a kernel reads and writes at one step.

    gates: P tensors; they hold the input projections W x_t + b before the forward pass, and the
        activations of the gates after it.
    groups: the same memory, by the gates that share a product; (R, n * H) for n gates side by side.
    saved: the other tensors that the backward pass needs.
    before, after: the tensors of the state before and after the step.
    augmented: [h; x_t; 1], (R, N * H + J): N state tensors before the step, the hidden state first,
        then the inputs.
    inputs: the last J columns of `augmented`. J = 0 if the inputs are projected beforehand.
    """

    gates: Sequence[Tensor]
    groups: Sequence[Tensor]
    saved: Sequence[Tensor]
    before: Sequence[Tensor]
    after: Sequence[Tensor]
    augmented: Tensor
    inputs: Tensor


class StepGradients(NamedTuple):
    """The gradients that a kernel writes at one step.

    gates: gradients of the P input projections. groups: the same memory, grouped as in
    `StepBuffers`. saved: the other gradients that `add_weight_gradients` needs.
    """

    gates: Sequence[Tensor]
    groups: Sequence[Tensor]
    saved: Sequence[Tensor]


class CellKernel:
    """The forward and backward pass of one cell at one step, for R sequences.

    num_gates, num_saved, num_saved_gradients, num_states: number of tensors of each kind per step.
    joint_gates: number of first gates that can share one product, because all multiply h.
    adjacent_states: indices of the state tensors that are adjacent in memory, so that one product
        covers all of them.
    augmented: names of the recurrent weights that can be fused with the input weights into one
        product over [h; x_t; 1], in gate order; a tuple of names for each product, since a product
        may cover several state tensors. Empty if the cell needs the input projection separately.

    input_weights: for each group of gates, the input weight (J, n * H) of the columns `inputs`;
        None if the gates already hold the input projections.
    project(out, x, weight): write the recurrent product to a gate, or add it to its projection.
    tanh(x, out): write tanh(x) to out; it may overwrite x. tanh_(x): the same in the memory of x.
    groups: the number of gates in each group that shares a product.
    """

    num_gates: ClassVar[int]
    joint_gates: ClassVar[int] = 1
    num_saved: ClassVar[int] = 0
    num_saved_gradients: ClassVar[int] = 0
    num_states: ClassVar[int] = 1
    adjacent_states: ClassVar[tuple[int, ...]] = (0,)
    augmented: ClassVar[tuple[tuple[str, ...], ...]] = ()
    add_product: Callable[[Tensor, Tensor, Tensor], Tensor]
    set_product: Callable[[Tensor, Tensor, Tensor], Tensor]

    def __init__(
        self, cell: Any, sequences: int, input_weights: Sequence[Tensor] | None, tuning: Tuning
    ) -> None:
        self.input_weights = input_weights
        self.groups = self.gates_of_groups(cell, sequences, tuning)
        # Buffers for intermediate results within one call.
        self.scratch_a, self.scratch_b = cell.bias.new_empty(2, sequences, cell.hidden_size).unbind(
            0
        )
        self.tanh = tuning.tanh(self.scratch_a)
        self.tanh_ = tuning.tanh_in_place(self.scratch_a)
        # The number of pieces, 0 if it is not split, and the pieces, by the id of a weight.
        self._pieces: dict[int, tuple[int, Tensor]] = {}
        self.cores = torch.get_num_threads() if sequences == 1 and not cell.bias.is_cuda else 1
        largest = (self.num_states * cell.hidden_size + 64) * self.num_gates * cell.hidden_size
        if self.cores == 1 or largest < MIN_SPLIT_WEIGHT:
            # No Python function in between: a step is short.
            self.add_product, self.set_product = Tensor.addmm_, _set_product
        else:
            self.add_product, self.set_product = self._add_split_product, self._set_split_product
        self.project = self.add_product if input_weights is None else self.set_product

    @classmethod
    def gates_of_groups(cls, cell: Any, sequences: int, tuning: Tuning) -> list[int]:
        """The number of gates in each group that shares a product."""
        if cls.joint_gates > 1 and tuning.joins(sequences, cell.hidden_size):
            return [cls.joint_gates] + [1] * (cls.num_gates - cls.joint_gates)
        return [1] * cls.num_gates

    def by_groups(self, U: Tensor, groups: Sequence[int]) -> list[Tensor]:
        """The recurrent weights (H, n * H) of the first groups, each contiguous; U: side by side,
        (H, P * H) or its first columns."""
        columns = [gates * self.scratch_a.shape[1] for gates in groups]
        return [weight.contiguous() for weight in U.split(columns, dim=1)]

    @staticmethod
    def input_bias(cell: Any) -> Tensor:
        """The bias of the input projections, (P * H,)."""
        return cell.bias

    def augmented_weight(self, U: Tensor, group: int) -> Tensor:
        """The weight of [h; x_t; 1] for n gates: [U; input weight], (N * H + J, n * H)."""
        return U if self.input_weights is None else torch.cat([U, self.input_weights[group]])

    def augmented_buffer(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """A buffer (rows, H + J) for [v; x_t; 1] with some vector v of size H, and views of its two
        parts, (rows, H) and (rows, J)."""
        width = 0 if self.input_weights is None else len(self.input_weights[0])
        hidden_size = self.scratch_a.shape[1]
        augmented = self.scratch_a.new_empty(rows, hidden_size + width)
        return augmented, augmented[:, :hidden_size], augmented[:, hidden_size:]

    def transposed(self, weight: Tensor) -> Tensor:
        """The transpose of a weight, copied, since products with a contiguous copy are faster.

        For one sequence and a large weight the transpose is a view: memory bandwidth then limits
        the product in either layout.
        """
        is_bandwidth_bound = len(self.scratch_a) == 1 and weight.numel() >= MIN_SPLIT_WEIGHT
        return weight.t() if is_bandwidth_bound else weight.t().contiguous()

    def _add_split_product(self, out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """out <- out + x @ weight for one sequence, with out: (1, m), x: (1, n), weight: (n, m).

        torch computes this product on a single core. A large weight is split into groups of columns
        (pieces), so that all cores read it in parallel.
        """
        return self._split_product(out, x, weight, beta=1)

    def _set_split_product(self, out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """out <- x @ weight, as `_add_split_product`."""
        return self._split_product(out, x, weight, beta=0)

    def _split_product(self, out: Tensor, x: Tensor, weight: Tensor, beta: float) -> Tensor:
        key = id(weight)
        if key not in self._pieces:
            split = self._split_columns(weight)
            self._pieces[key] = (0, weight) if split is None else (len(split), split)
        count, pieces = self._pieces[key]
        if not count:
            return out.addmm_(x, weight, beta=beta)
        out.view(count, 1, -1).baddbmm_(x.expand(count, 1, -1), pieces, beta=beta)
        return out

    def _split_columns(self, weight: Tensor) -> Tensor | None:
        """Split a weight (n, m) into p pieces of columns, (p, n, m / p), the same number for every
        core. Each piece is contiguous in memory. None if the weight is small, or if m is not a
        multiple of the number of cores."""
        size = weight.shape[1]
        if weight.numel() < MIN_SPLIT_WEIGHT or size % self.cores:
            return None
        if not weight.is_contiguous():  # a transposed view has contiguous columns
            return weight.unflatten(1, (self.cores, -1)).transpose(0, 1)
        most = max(1, size // (MIN_SPLIT_COLUMNS * self.cores))
        pieces = self.cores * next(n for n in range(most, 0, -1) if size % (n * self.cores) == 0)
        return weight.unflatten(1, (pieces, -1)).transpose(0, 1).contiguous()

    def forward(self, step: StepBuffers) -> None:
        """Compute step.after from step.before; write step.gates and step.saved."""
        raise NotImplementedError

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        """Replace g_state, the gradient of the state after the step, by the gradient of the state
        before it; write g."""
        raise NotImplementedError

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        """Add the gradients of the recurrent parameters for several steps to g_weights, by name.

        The gradient of an augmented weight is [gradient of U; gradient of the input weight].
        """
        raise NotImplementedError


def _set_product(out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """out <- x @ weight."""
    return torch.mm(x, weight, out=out)


def add_by_groups(total: Tensor, left: Tensor, parts: Sequence[Tensor]) -> None:
    """Add left^T times each part, (rows, n * H), to its columns of the total, (rows of left^T, P *
    H)."""
    columns = total.split([part.shape[1] for part in parts], dim=1)
    for own, part in zip(columns, parts, strict=True):
        own.addmm_(left.t(), part)
