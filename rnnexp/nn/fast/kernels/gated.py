"""Kernels of the gated cells: MGU, GRU, GRUChung, LSTM."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rnnexp.nn import cells
from rnnexp.nn.fast.kernels.base import (
    CellKernel,
    StepBuffers,
    StepGradients,
    add_by_groups,
    sigmoid_backward,
    tanh_backward,
)


class MGUKernel(CellKernel):
    """f = sigma(x_f + U_f h), c = tanh(x_h + U_h (f * h)), h' = (1 - f) * h + f * c"""

    num_gates = 2
    augmented = (("U_f",), ("U_h",))

    def __init__(self, cell: cells.MGU, sequences: int, *others: Any) -> None:
        super().__init__(cell, sequences, *others)
        self.U_f, self.U_h = cell.U_f.detach(), cell.U_h.detach()
        self.W_f, self.W_h = self.augmented_weight(self.U_f, 0), self.augmented_weight(self.U_h, 1)
        self._augmented, self._fh, self._inputs = self.augmented_buffer(sequences)

    @cached_property
    def U_f_t(self) -> Tensor:
        return self.transposed(self.U_f)

    @cached_property
    def U_h_t(self) -> Tensor:
        return self.transposed(self.U_h)

    def forward(self, step: StepBuffers) -> None:
        (f, c), (h,) = step.gates, step.before
        self.project(f, step.augmented, self.W_f).sigmoid_()
        torch.mul(f, h, out=self._fh)
        if self.input_weights is not None:
            self._inputs.copy_(step.inputs)
        self.tanh_(self.project(c, self._augmented, self.W_h))
        torch.lerp(h, c, f, out=step.after[0])

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (f, c), (h,), (g_f, g_c), (g_h,) = step.gates, step.before, g.gates, g_state
        a, g_fh = self.scratch_a, self.scratch_b
        torch.mul(g_h, f, out=a)
        tanh_backward(a, c, grad_input=g_c)
        self.set_product(g_fh, g_c, self.U_h_t)
        torch.sub(c, h, out=a).mul_(g_h).addcmul_(g_fh, h)
        sigmoid_backward(a, f, grad_input=g_f)
        torch.lerp(g_h, g_fh, f, out=g_h)
        self.add_product(g_h, g_f, self.U_f_t)

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        (f, _), (h,), (g_f, g_c) = step.gates, step.before, g.gates
        augmented, fh, inputs = self.augmented_buffer(len(h))
        torch.mul(f, h, out=fh)
        inputs.copy_(step.inputs)
        g_weights["U_f"].addmm_(step.augmented.t(), g_f)
        g_weights["U_h"].addmm_(augmented.t(), g_c)


class GRUKernel(CellKernel):
    """r, z = sigma(x + U h), m = U_h h + d_h, c = tanh(x_h + r * m), h' = (1 - z) * c + z * h

    m is saved. r multiplies m but not x_h, so m and x_h need separate products. The input bias of r
    and z includes the recurrent bias.
    """

    num_gates = 3
    joint_gates = 2
    num_saved = num_saved_gradients = 1

    def __init__(self, cell: cells.GRU, sequences: int, *others: Any) -> None:
        super().__init__(cell, sequences, *others)
        *self.U, self.U_h = self.by_groups(cell.U.detach(), self.groups)
        self.d_h = cell.recurrent_bias.detach()[2 * cell.hidden_size :]

    @cached_property
    def U_t(self) -> list[Tensor]:
        return [self.transposed(U) for U in (*self.U, self.U_h)]

    @staticmethod
    def input_bias(cell: cells.GRU) -> Tensor:
        of_r_and_z = cell.recurrent_bias.clone()
        of_r_and_z[2 * cell.hidden_size :] = 0
        return cell.bias + of_r_and_z

    def forward(self, step: StepBuffers) -> None:
        (r, z, c), (m,), (h,) = step.gates, step.saved, step.before
        for gates, U in zip(step.groups, self.U, strict=False):  # all but c
            self.add_product(gates, h, U).sigmoid_()
        self.add_product(m.copy_(self.d_h), h, self.U_h)
        self.tanh_(c.addcmul_(r, m))
        torch.lerp(c, h, z, out=step.after[0])

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (r, z, c), (m,), (h,) = step.gates, step.saved, step.before
        (g_r, g_z, g_c), (g_m,), (g_h,) = g.gates, g.saved, g_state
        a = self.scratch_a
        torch.sub(h, c, out=a).mul_(g_h)
        sigmoid_backward(a, z, grad_input=g_z)
        torch.mul(g_h, z, out=self.scratch_b)
        torch.sub(g_h, self.scratch_b, out=a)
        g_h.copy_(self.scratch_b)
        tanh_backward(a, c, grad_input=g_c)
        torch.mul(g_c, m, out=a)
        sigmoid_backward(a, r, grad_input=g_r)
        torch.mul(g_c, r, out=g_m)
        for part, U_t in zip((*g.groups[:-1], g_m), self.U_t, strict=True):
            self.add_product(g_h, part, U_t)

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        (h,), parts = step.before, (g.gates[0], g.gates[1], g.saved[0])
        add_by_groups(g_weights["U"], h, (*g.groups[:-1], g.saved[0]))
        for g_d, part in zip(g_weights["recurrent_bias"].chunk(3), parts, strict=True):
            g_d.add_(part.sum(0))


class GRUChungKernel(CellKernel):
    """z, r = sigma(x + U h), c = tanh(x_h + U_h (r * h)), h' = (1 - z) * h + z * c"""

    num_gates = 3
    joint_gates = 2
    augmented = (("U",), ("U_h",))

    def __init__(self, cell: cells.GRUChung, sequences: int, *others: Any) -> None:
        super().__init__(cell, sequences, *others)
        self.U = self.by_groups(cell.U.detach(), self.groups[:-1])
        self.U_h = cell.U_h.detach()
        self.W = [self.augmented_weight(U, group) for group, U in enumerate(self.U)]
        self.W_h = self.augmented_weight(self.U_h, len(self.U))
        self._augmented, self._rh, self._inputs = self.augmented_buffer(sequences)

    @cached_property
    def U_t(self) -> list[Tensor]:
        return [self.transposed(U) for U in self.U]

    @cached_property
    def U_h_t(self) -> Tensor:
        return self.transposed(self.U_h)

    def forward(self, step: StepBuffers) -> None:
        (z, r, c), (h,) = step.gates, step.before
        for gates, W in zip(step.groups, self.W, strict=False):  # all but c
            self.project(gates, step.augmented, W).sigmoid_()
        torch.mul(r, h, out=self._rh)
        if self.input_weights is not None:
            self._inputs.copy_(step.inputs)
        self.tanh_(self.project(c, self._augmented, self.W_h))
        torch.lerp(h, c, z, out=step.after[0])

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (z, r, c), (h,), (g_z, g_r, g_c), (g_h,) = step.gates, step.before, g.gates, g_state
        a, g_rh = self.scratch_a, self.scratch_b
        torch.sub(c, h, out=a).mul_(g_h)
        sigmoid_backward(a, z, grad_input=g_z)
        torch.mul(g_h, z, out=a)
        g_h.sub_(a)
        tanh_backward(a, c, grad_input=g_c)
        self.set_product(g_rh, g_c, self.U_h_t)
        g_h.addcmul_(g_rh, r)
        g_rh.mul_(h)
        sigmoid_backward(g_rh, r, grad_input=g_r)
        for part, U_t in zip(g.groups, self.U_t, strict=False):  # all but c
            self.add_product(g_h, part, U_t)

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        (_, r, _), (h,) = step.gates, step.before
        augmented, rh, inputs = self.augmented_buffer(len(h))
        torch.mul(r, h, out=rh)
        inputs.copy_(step.inputs)
        add_by_groups(g_weights["U"], step.augmented, g.groups[:-1])
        g_weights["U_h"].addmm_(augmented.t(), g.gates[2])


class LSTMKernel(CellKernel):
    """i, f, o = sigma(x + U h), g = tanh(x_g + U_g h), c' = f * c + i * g, h' = o * tanh(c')"""

    num_gates = 4
    joint_gates = 4
    num_states = 2
    augmented = (("U",),)

    def __init__(self, cell: cells.LSTM, sequences: int, *others: Any) -> None:
        super().__init__(cell, sequences, *others)
        self.U = self.by_groups(cell.U.detach(), self.groups)
        self.W = [self.augmented_weight(U, group) for group, U in enumerate(self.U)]

    @cached_property
    def U_t(self) -> list[Tensor]:
        return [self.transposed(U) for U in self.U]

    def forward(self, step: StepBuffers) -> None:
        (_, c), (new_h, new_c) = step.before, step.after
        for gates, W in zip(step.groups, self.W, strict=True):
            self.project(gates, step.augmented, W)
        i, f, g, o = step.gates
        torch.mul(f.sigmoid_(), c, out=new_c).addcmul_(i.sigmoid_(), self.tanh_(g))
        torch.mul(self._tanh_of(new_c), o.sigmoid_(), out=new_h)

    def _tanh_of(self, c: Tensor) -> Tensor:
        """Write tanh(c), (R, H), to `scratch_a` and return it."""
        return self.tanh_(self.scratch_a.copy_(c))

    def backward(self, step: StepBuffers, g: StepGradients, g_state: list[Tensor]) -> None:
        (i, f, candidate, o), (_, c), (_, new_c) = step.gates, step.before, step.after
        (g_i, g_f, g_candidate, g_o), (g_h, g_c) = g.gates, g_state
        a, b = self.scratch_a, self.scratch_b
        self._tanh_of(new_c)
        torch.mul(g_h, a, out=b)
        sigmoid_backward(b, o, grad_input=g_o)
        torch.mul(g_h, o, out=b)
        g_c.add_(tanh_backward(b, a, grad_input=a))
        torch.mul(g_c, candidate, out=a)
        sigmoid_backward(a, i, grad_input=g_i)
        torch.mul(g_c, i, out=a)
        tanh_backward(a, candidate, grad_input=g_candidate)
        torch.mul(g_c, c, out=a)
        sigmoid_backward(a, f, grad_input=g_f)
        g_c.mul_(f)
        first, *others = zip(g.groups, self.U_t, strict=True)
        self.set_product(g_h, *first)
        for part, U_t in others:
            self.add_product(g_h, part, U_t)

    def add_weight_gradients(
        self, step: StepBuffers, g: StepGradients, g_weights: dict[str, Tensor]
    ) -> None:
        add_by_groups(g_weights["U"], step.augmented, g.groups)
