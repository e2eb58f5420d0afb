"""The loop over the steps of a block: in Python, one call of the kernel for each step.

`native/loop.py` has the same loop in C++.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from rnnexp.nn.fast.kernels.base import CellKernel, StepBuffers, StepGradients
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.fast.workspace import Block, Workspace, unbind_steps


class Loop(Protocol):
    """Runs a kernel over the steps of a block, forward and backward.

    tuned: the tuning that this loop can follow.
    """

    def __init__(self, kernel: CellKernel) -> None: ...

    @staticmethod
    def tuned(tuning: Tuning) -> Tuning: ...

    def buffers(self, workspace: Workspace, steps: slice) -> Any:
        """The memory of these steps, in the form that `forward` and `backward` take."""

    def forward(self, block: Block, buffers: Any) -> None:
        """Run the steps from the state before the first one to the state after the last one."""

    def gradient_buffers(self, g: StepGradients, steps: int) -> Any:
        """The memory for the gradients of a block of at most `steps` steps; g: tensors (S, R,
        H)."""

    def backward(
        self, block: Block, buffers: Any, g: Any, g_outputs: Tensor | None, g_state: list[Tensor]
    ) -> None:
        """Replace g_state, the gradient of the state after the block, by the gradient of the state
        before it; write g. g_outputs: the gradients of the hidden states of the block (S, R, H)."""


class PythonLoop:
    """The loop for every kernel."""

    def __init__(self, kernel: CellKernel) -> None:
        self.kernel = kernel

    @staticmethod
    def tuned(tuning: Tuning) -> Tuning:
        return tuning

    def buffers(self, workspace: Workspace, steps: slice) -> list[StepBuffers]:
        return workspace.of_steps(steps)

    @torch.inference_mode()  # lowers the overhead of calls; autograd does not track the workspace
    def forward(self, block: Block, buffers: list[StepBuffers]) -> None:
        for t, step in enumerate(buffers):
            self.kernel.forward(step)
            if block.padding is not None:  # padding does not change the state
                for before, after in zip(step.before, step.after, strict=True):
                    torch.where(block.padding[t], before, after, out=after)

    def gradient_buffers(self, g: StepGradients, steps: int) -> list[StepGradients]:
        of_steps = (unbind_steps(tensors, slice(0, steps)) for tensors in g)
        return [StepGradients(*step) for step in zip(*of_steps, strict=True)]

    @torch.inference_mode()
    def backward(
        self,
        block: Block,
        buffers: list[StepBuffers],
        g: list[StepGradients],
        g_outputs: Tensor | None,
        g_state: list[Tensor],
    ) -> None:
        outputs = None if g_outputs is None else g_outputs.unbind(0)
        for t in reversed(range(len(buffers))):
            if outputs is not None:
                g_state[0].add_(outputs[t])
            if block.padding is None:
                self.kernel.backward(buffers[t], g[t], g_state)
            else:
                _backward_with_padding(self.kernel, buffers[t], g[t], g_state, block.padding[t])


def _backward_with_padding(
    kernel: CellKernel,
    step: StepBuffers,
    g: StepGradients,
    g_state: list[Tensor],
    padding: Tensor,
) -> None:
    """One step backward. Where padding (R, 1) is True, the gradient of the state is unchanged."""
    skipping = [g_s.masked_fill(~padding, 0) for g_s in g_state]
    for g_s in g_state:
        g_s.masked_fill_(padding, 0)
    kernel.backward(step, g, g_state)
    for g_s, g_skipping in zip(g_state, skipping, strict=True):
        g_s.add_(g_skipping)
