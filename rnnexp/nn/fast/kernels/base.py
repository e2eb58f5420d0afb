"""The base class of the kernels, and the buffers that a kernel reads and writes.

On the plain path, autograd records every operation of a step and allocates its result. A kernel
writes to preallocated buffers and has a hand-written backward pass. `rnnexp.nn.fast.fused` runs it
over the steps. The equations of a cell thus exist twice: in `rnnexp.nn.cells` for the reader, and
in a kernel for speed. Tests compare the two.

A tensor of one step has shape (R, H): R sequences, H hidden units. A tensor of S steps is flattened
to (rows, H), where rows is S * R or slightly larger; gradients are zero in the extra rows. The name
g_x denotes the gradient of the loss with respect to x.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

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
    saved: the other tensors that the backward pass needs.
    before, after: the tensors of the state before and after the step.
    augmented: [h; x_t; 1], (R, N * H + J): N state tensors before the step, the hidden state first,
        then the inputs.
    inputs: the last J columns of `augmented`. J = 0 if the inputs are projected beforehand.
    """

    gates: Sequence[Tensor]
    saved: Sequence[Tensor]
    before: Sequence[Tensor]
    after: Sequence[Tensor]
    augmented: Tensor
    inputs: Tensor


class StepGradients(NamedTuple):
    """The gradients that a kernel writes at one step.

    gates: gradients of the P input projections. saved: the other gradients that
    `add_weight_gradients` needs.
    """

    gates: Sequence[Tensor]
    saved: Sequence[Tensor]


class CellKernel:
    """The forward and backward pass of one cell at one step, for R sequences.

    num_gates, num_saved, num_saved_gradients, num_states: number of tensors of each kind per step.
    adjacent_states: indices of the state tensors that are adjacent in memory, so that one product
        covers all of them.
    augmented: names of the recurrent weights that can be fused with the input weights into one
        product over [h; x_t; 1], in gate order; a tuple of names for each product, since a product
        may cover several state tensors. Empty if the cell needs the input projection separately.

    input_weights: for each gate, the input weight (J, H) of the columns `inputs`; None if the gates
        already hold the input projections.
    """

    num_gates: ClassVar[int]
    num_saved: ClassVar[int] = 0
    num_saved_gradients: ClassVar[int] = 0
    num_states: ClassVar[int] = 1
    adjacent_states: ClassVar[tuple[int, ...]] = (0,)
    augmented: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __init__(self, cell: Any, sequences: int, input_weights: Sequence[Tensor] | None) -> None:
        self.input_weights = input_weights
        self.beta = 1 if input_weights is None else 0  # 1: add products to the input projections
        # Buffers for intermediate results within one call.
        self.scratch_a, self.scratch_b = cell.bias.new_empty(2, sequences, cell.hidden_size).unbind(
            0
        )
        self._transposed: dict[int, Tensor] = {}  # by id of the weight
        self._pieces: dict[int, Tensor | None] = {}  # by id of the weight
        self.cores = torch.get_num_threads() if sequences == 1 and not cell.bias.is_cuda else 1

    @staticmethod
    def input_bias(cell: Any) -> Tensor:
        """The bias of the input projections, (P * H,)."""
        return cell.bias

    def augmented_weight(self, U: Tensor, gate: int) -> Tensor:
        """The weight of [h; x_t; 1] for one gate: [U; input weight], (N * H + J, H)."""
        return U if self.input_weights is None else torch.cat([U, self.input_weights[gate]])

    def augmented_buffer(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """A buffer (rows, H + J) for [v; x_t; 1] with some vector v of size H, and views of its two
        parts, (rows, H) and (rows, J)."""
        width = 0 if self.input_weights is None else len(self.input_weights[0])
        hidden_size = self.scratch_a.shape[1]
        augmented = self.scratch_a.new_empty(rows, hidden_size + width)
        return augmented, augmented[:, :hidden_size], augmented[:, hidden_size:]

    def transposed(self, weight: Tensor) -> Tensor:
        """The transpose of a weight, copied once, since products with a contiguous copy are faster.

        For one sequence and a large weight the transpose is a view: memory bandwidth then limits
        the product in either layout.
        """
        key = id(weight)
        if key not in self._transposed:
            view = weight.t()
            is_bandwidth_bound = len(self.scratch_a) == 1 and weight.numel() >= MIN_SPLIT_WEIGHT
            self._transposed[key] = view if is_bandwidth_bound else view.contiguous()
        return self._transposed[key]

    def product(self, out: Tensor, x: Tensor, weight: Tensor, beta: float = 0) -> Tensor:
        """out <- beta * out + x @ weight, with out: (R, m), x: (R, n), weight: (n, m).

        For one sequence, torch computes the product on a single core. A large weight is then split
        into groups of columns (pieces), so that all cores read it in parallel.
        """
        if self.cores == 1:
            return out.addmm_(x, weight, beta=beta)
        key = id(weight)
        if key not in self._pieces:
            self._pieces[key] = self._split_columns(weight)
        pieces = self._pieces[key]
        if pieces is None:
            return out.addmm_(x, weight, beta=beta)
        count = len(pieces)
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
