"""The loop over the steps of a block in C++: one call for all steps (cells.cpp)."""

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.fast.fused import run_fused
from rnnexp.nn.fast.kernels.base import CellKernel, StepGradients
from rnnexp.nn.fast.kernels.gated import GRUChungKernel, GRUKernel, LSTMKernel, MGUKernel
from rnnexp.nn.fast.kernels.simple import LinearKernel, TEXTnetOrder2Kernel, VanillaKernel
from rnnexp.nn.fast.native.build import library
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.fast.workspace import Block, Workspace
from rnnexp.nn.representations import Sequences

TILE_ROWS = 4  # as in products.h; with fewer rows, a transposed weight is read as it lies in memory


class Function(NamedTuple):
    """What cells.cpp calls a cell, and the attributes of its kernel that it reads.

    forward: the weights, in its order, and its biases. backward: the weights that it multiplies by,
    transposed. scratch: whether it needs memory (R, H).
    """

    name: str
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    scratch: bool = False


FUNCTIONS: dict[type[CellKernel], Function] = {
    VanillaKernel: Function("vanilla", ("U",), ("U",)),
    LinearKernel: Function("linear", ("U",), ("U",)),
    TEXTnetOrder2Kernel: Function("order2", ("UV", "W_c", "b_c"), ("W_c", "UV")),
    MGUKernel: Function("mgu", ("U_f", "U_h"), ("U_h", "U_f"), scratch=True),
    GRUKernel: Function("gru", ("U", "U_h", "d_h"), ("U", "U_h")),
    GRUChungKernel: Function("gru_chung", ("U", "U_h"), ("U_h", "U"), scratch=True),
    LSTMKernel: Function("lstm", ("U",), ("U",)),
}


class Strided(ctypes.Structure):
    """A tensor, as in team.h: its address, and distances in elements."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("step", ctypes.c_int64),
        ("row", ctypes.c_int64),
        ("column", ctypes.c_int64),
    )


class Run(ctypes.Structure):
    """A block, as in team.h."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("padding", ctypes.c_void_p),
        ("tensors", ctypes.POINTER(Strided)),
    )


def run_native(cell: Cell, x: Sequences, every_step: bool, tuning: Tuning) -> tuple[Tensor, State]:
    """Run one cell over x on a CPU, as `run_fused` does."""
    return run_fused(cell, x, every_step, tuning, NativeLoop)


class NativeLoop:
    """The loop in C++."""

    def __init__(self, kernel: CellKernel) -> None:
        self.kernel, self.function = kernel, FUNCTIONS[type(kernel)]
        self.scratch = [kernel.scratch_a] if self.function.scratch else []

    @staticmethod
    def tuned(tuning: Tuning) -> Tuning:
        """Without concatenated inputs, and with all gates that multiply h side by side."""
        return replace(tuning, augment_from=None, joint_below=None)

    def buffers(self, workspace: Workspace, steps: slice) -> list[Tensor]:
        states = [state[steps.start : steps.stop + 1] for state in workspace.states]
        return [one[steps] for one in (*workspace.groups, *workspace.saved)] + states

    def forward(self, block: Block, buffers: list[Tensor]) -> None:
        self._run("forward", block, [*buffers, *self._weights, *self.scratch])

    def gradient_buffers(self, g: StepGradients, steps: int) -> list[Tensor]:
        return [*g.groups, *g.saved]

    def backward(
        self,
        block: Block,
        buffers: list[Tensor],
        g: list[Tensor],
        g_outputs: Tensor | None,
        g_state: list[Tensor],
    ) -> None:
        g_state[:] = [g_s.contiguous() for g_s in g_state]
        outputs = None if g_outputs is None else g_outputs.contiguous()
        tensors = [*buffers, *self._transposed, *self.scratch, *g, *g_state, outputs]
        self._run("backward", block, tensors)

    @cached_property
    def _weights(self) -> list[Tensor]:
        """The weights and biases of the forward pass."""
        return self._read(self.function.forward)

    @cached_property
    def _transposed(self) -> list[Tensor]:
        """The transposed weights of the backward pass."""
        weights = [weight.t() for weight in self._read(self.function.backward)]
        if len(self.kernel.scratch_a) < TILE_ROWS:
            return weights
        return [weight.contiguous() for weight in weights]

    def _read(self, names: Sequence[str]) -> list[Tensor]:
        """Weights of the kernel, each with contiguous rows or columns."""
        found = (getattr(self.kernel, name) for name in names)
        # A list holds the weight of the one group of gates that share a product.
        weights = [one[0] if isinstance(one, list) else one for one in found]
        like = self.kernel.scratch_a
        for one in weights:  # C++ sees addresses alone
            if one.dtype != like.dtype or one.device != like.device:
                raise TypeError(
                    f"{type(self.kernel).__name__} has tensors of {like.dtype} on {like.device} "
                    f"and of {one.dtype} on {one.device}: a cell must have one dtype and one device"
                )
        return [one if 1 in one.stride() else one.contiguous() for one in weights]

    def _run(self, which: str, block: Block, tensors: Sequence[Tensor | None]) -> None:
        rows, hidden = self.kernel.scratch_a.shape
        padding = None if block.padding is None else block.padding.contiguous()
        run = Run(
            len(block),
            rows,
            hidden,
            torch.get_num_threads(),
            None if padding is None else padding.data_ptr(),
            (Strided * len(tensors))(*map(_strided, tensors)),
        )
        self._function(which)(ctypes.byref(run))

    def _function(self, which: str) -> Any:
        name, dtype = self.function.name, self.kernel.scratch_a.dtype
        if isinstance(self.kernel, TEXTnetOrder2Kernel) and not self.kernel.has_tanh:
            name = f"{name}_linear"
        return getattr(library(), f"{name}_{which}_{str(dtype).removeprefix('torch.')}")


def _strided(tensor: Tensor | None) -> Strided:
    """A tensor (steps, rows, columns), (rows, columns) or (columns,); None: no tensor."""
    if tensor is None:
        return Strided()
    strides = (0, 0, *tensor.stride())[-3:]
    return Strided(tensor.data_ptr(), *strides)
