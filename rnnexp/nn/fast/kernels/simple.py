"""Kernels of the cells without a memory gate: Vanilla, Linear, TEXTnetOrder2."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rnnexp.nn import cells
from rnnexp.nn.fast.kernels.base import (
    CellKernel,
    StepBuffers,
    StepGradients,
    sigmoid_backward,
    tanh_backward,
)


class VanillaKernel(CellKernel):
    """h' = tanh(x + U h)"""

    num_gates = 1
    augmented = (("U",),)

    def __init__(self, cell: cells.Vanilla, sequences: int, *inputs: Any) -> None:
        super().__init__(cell, sequences, *inputs)
        self.U = cell.U.detach()
        self.W = self.augmented_weight(self.U, 0)

    @cached_property
    def U_t(self) -> Tensor:
        return self.transposed(self.U)

    def forward(self, step: StepBuffers) -> None:
        self.tanh(self.project(step.gates[0], step.augmented, self.W), out=step.after[0])

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (g_x,), (g_h,) = g.gates, g_state
        tanh_backward(g_h, step.after[0], grad_input=g_x)
        self.set_product(g_h, g_x, self.U_t)

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        g_weights["U"].addmm_(step.augmented.t(), g.gates[0])


class LinearKernel(CellKernel):
    """h' = x + U h"""

    num_gates = 1
    augmented = (("U",),)

    def __init__(self, cell: cells.Linear, sequences: int, *inputs: Any) -> None:
        super().__init__(cell, sequences, *inputs)
        self.U = cell.U.detach()
        self.W = self.augmented_weight(self.U, 0)

    @cached_property
    def U_t(self) -> Tensor:
        return self.transposed(self.U)

    def forward(self, step: StepBuffers) -> None:
        step.after[0].copy_(self.project(step.gates[0], step.augmented, self.W))

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (g_x,), (g_h,) = g.gates, g_state
        g_x.copy_(g_h)
        self.set_product(g_h, g_x, self.U_t)

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        g_weights["U"].addmm_(step.augmented.t(), g.gates[0])


class TEXTnetOrder2Kernel(CellKernel):
    """h' = tanh(x + [h; fed] [U; V]), cell' = sigma(W_c h' + b_c), fed' = cell

    The gradient with respect to the argument of sigma is saved.
    """

    num_gates = 1
    num_saved_gradients = 1
    num_states = 3
    adjacent_states = (0, 2)
    augmented = (("U", "V"),)

    def __init__(self, cell: cells.TEXTnetOrder2, sequences: int, *inputs: Any) -> None:
        super().__init__(cell, sequences, *inputs)
        self.UV = torch.cat([cell.U.detach(), cell.V.detach()])
        self.W = self.augmented_weight(self.UV, 0)
        self.W_c, self.b_c = cell.W_c.detach(), cell.b_c.detach()
        self.has_tanh = cell.activation is torch.tanh
        # Two buffers for the gradient of [h; fed]: each step reads one and writes the other.
        g_both = self.scratch_a.new_empty(2, sequences, 2 * cell.hidden_size)
        self._swapping = [(g, *g.chunk(2, dim=1)) for g in g_both]

    @cached_property
    def UV_t(self) -> Tensor:
        return self.transposed(self.UV)

    @cached_property
    def W_c_t(self) -> Tensor:
        return self.transposed(self.W_c)

    def forward(self, step: StepBuffers) -> None:
        _, cell, _ = step.before
        new_h, new_cell, new_fed = step.after
        x = self.project(step.gates[0], step.augmented, self.W)
        self.tanh(x, out=new_h) if self.has_tanh else new_h.copy_(x)
        self.add_product(new_cell.copy_(self.b_c), new_h, self.W_c).sigmoid_()
        new_fed.copy_(cell)

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (g_x,), (g_sum,) = g.gates, g.saved
        g_h, g_cell, g_fed = g_state
        sigmoid_backward(g_cell, step.after[1], grad_input=g_sum)
        self.add_product(g_h, g_sum, self.W_c_t)
        tanh_backward(g_h, step.after[0], grad_input=g_x) if self.has_tanh else g_x.copy_(g_h)
        self._swapping.reverse()
        g_both, g_h_before, g_fed_before = self._swapping[0]
        self.set_product(g_both, g_x, self.UV_t)
        g_state[:] = g_h_before, g_fed, g_fed_before  # fed' = cell

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        g_weights["U"].addmm_(step.augmented.t(), g.gates[0])  # gradient of [U; V; input weight]
        g_weights["W_c"].addmm_(step.after[0].t(), g.saved[0])
        g_weights["b_c"].add_(g.saved[0].sum(0))
