"""The fused path: a cell over all steps as one autograd function with preallocated memory.

It equals the plain path (`rnnexp.nn.plain`) up to the order of summation, and is faster:

- A few features are concatenated to the hidden state, so that one product covers both. Other inputs
  are projected one block of steps at a time, so that the projections are still in the processor's
  cache when the steps read them. The activations of the gates overwrite the projections.
- Only gates and states are saved for the backward pass. The gradient of the weights over a block of
  steps is one product; the next block reuses the memory of the gate gradients.
- The batch is split into groups of sequences whose state at one step fits into the cache.

README.md draws the memory and describes one forward and one backward pass.
Second derivatives are computed on the plain path.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.fast.choices import tuning_of
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.kernels.base import CellKernel, StepBuffers, StepGradients
from rnnexp.nn.fast.projections import Projection, projection_of
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.fast.workspace import (
    Block,
    Workspace,
    allocate_groups,
    allocate_steps,
    allocate_workspace,
    extra_steps,
    flat_rows,
    gates_of,
    split_blocks,
    unbind_steps,
)
from rnnexp.nn.plain import run_over
from rnnexp.nn.representations import Sequences


def has_fused_path(cell: Cell) -> bool:
    """Whether there is a kernel for this cell and for the dtype of its parameters."""
    return type(cell) in KERNELS and cell.bias.dtype in (torch.float32, torch.float64)


def run_fused(
    cell: Cell, x: Sequences, every_step: bool, tuning: Tuning | None = None
) -> tuple[Tensor, State]:
    """Run one cell over x. Returns the hidden states (T, B, H), or an empty tensor (0, B, H) unless
    every_step, and the final state. tuning: None for that of this processor."""
    tuning = tuning or tuning_of(type(cell).__name__)
    parts = []
    x, weight = x.without_padding().in_use(cell.input_weight)
    for group in x.split(tuning.group_sequences):
        inputs = (group.values, weight, *_other_parameters(cell).values())
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            parts.append(Fused.apply(cell, group, every_step, tuning, *inputs))
        else:
            parts.append(_run_without_gradients(cell, group, weight, every_step, tuning))
    if len(parts) == 1:
        hidden, *final = parts[0]
    else:
        hidden, *final = (torch.cat(outputs, dim=-2) for outputs in zip(*parts, strict=True))
    return hidden, tuple(final)


def _other_parameters(cell: Cell) -> dict[str, Tensor]:
    """All parameters except the input weight, which is passed separately: it may be reduced to the
    rows in use."""
    return {name: one for name, one in cell.named_parameters() if name != "input_weight"}


def _projection_and_kernel(
    cell: Cell, x: Sequences, weight: Tensor, tuning: Tuning
) -> tuple[Projection, CellKernel]:
    """The input projection and the kernel for a cell, with its weights; weight: (I, P * H)."""
    kind = KERNELS[type(cell)]
    augments = kind.augmented and tuning.augments(x.batch, cell.hidden_size)
    state_columns = cell.hidden_size * len(kind.adjacent_states) if augments else 0
    gates = kind.gates_of_groups(cell, x.batch, tuning)
    columns = [count * cell.hidden_size for count in gates]
    projection = projection_of(x, weight, kind.input_bias(cell), columns, state_columns)
    return projection, kind(cell, x.batch, projection.input_weights, tuning)


# Forward ----------------------------------------------------------------------------------------


@torch.inference_mode()  # lowers the overhead of calls; autograd does not track the workspace
def _run_block(
    projection: Projection,
    kernel: CellKernel,
    block: Block,
    workspace: Workspace,
    steps: slice,
    tuning: Tuning,
) -> list[StepBuffers]:
    """Run a block, from the state before its first step to the state after its last step.

    steps: range of the block in the workspace. Returns the buffers of each step.
    """
    sequences, hidden_size = kernel.scratch_a.shape
    with tuning.products(block.rows, hidden_size, hidden_size):
        groups = flat_rows(workspace.groups, steps.start, block.rows)
        projection.write(block.x.values, groups, workspace.inputs[steps])
    buffers = workspace.of_steps(steps)
    with tuning.products(sequences, hidden_size, hidden_size):
        for t, step in enumerate(buffers):
            kernel.forward(step)
            if block.padding is not None:  # padding does not change the state
                for before, after in zip(step.before, step.after, strict=True):
                    torch.where(block.padding[t], before, after, out=after)
    return buffers


@torch.no_grad()
def _run_without_gradients(
    cell: Cell, x: Sequences, weight: Tensor, every_step: bool, tuning: Tuning
) -> tuple[Tensor, ...]:
    """The outputs of `Fused`, computed with the memory of a single block."""
    blocks = split_blocks(cell, x, tuning)
    projection, kernel = _projection_and_kernel(cell, x, weight, tuning)
    longest, extra = max(map(len, blocks), default=0), extra_steps(blocks)
    workspace = allocate_workspace(cell, projection, kernel.groups, x.batch, longest, extra)
    hidden = cell.bias.new_empty(x.steps if every_step else 0, x.batch, cell.hidden_size)
    last = 0
    for block in blocks:
        for state in workspace.states:
            state[0].copy_(state[last])
        last = len(block)
        _run_block(projection, kernel, block, workspace, slice(0, last), tuning)
        if every_step:
            hidden[block.steps] = workspace.states[0][1 : last + 1]
    return hidden, *(state[last].clone() for state in workspace.states)


Prepared = tuple[list[Block], Projection, CellKernel, list[list[StepBuffers]]]


class Fused(torch.autograd.Function):
    """Run a cell over one group. Returns the hidden states, or an empty tensor unless every_step,
    and the tensors of the final state.

    inputs: the values of x, the input weight and the other parameters of the cell. They are
    arguments because autograd computes gradients of arguments only.
    """

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, x: Sequences, every_step: bool, tuning: Tuning, *inputs: Tensor
    ) -> Any:
        blocks = split_blocks(cell, x, tuning)
        projection, kernel = _projection_and_kernel(cell, x, inputs[1], tuning)
        extra = extra_steps(blocks)
        workspace = allocate_workspace(cell, projection, kernel.groups, x.batch, x.steps, extra)
        buffers = [
            _run_block(projection, kernel, block, workspace, block.steps, tuning)
            for block in blocks
        ]
        # The first backward pass uses these objects; later ones rebuild them from saved tensors.
        ctx.prepared = blocks, projection, kernel, buffers
        ctx.cell, ctx.x, ctx.every_step, ctx.tuning = cell, x, every_step, tuning
        hidden = (
            _hidden_states(workspace.states[0], x.steps)
            if every_step
            else workspace.states[0].new_empty(0, x.batch, cell.hidden_size)
        )
        augmented = [workspace.augmented, workspace.inputs]
        saved = list(inputs), workspace.groups, workspace.saved, workspace.states, augmented
        ctx.sizes = list(map(len, saved))
        # Saving the output lets autograd detect in-place changes of it.
        ctx.save_for_backward(*chain(*saved), hidden)
        ctx.set_materialize_grads(False)
        return hidden, *(state[x.steps].clone() for state in workspace.states)

    @staticmethod
    def backward(ctx: Any, g_hidden: Tensor | None, *g_final: Tensor | None) -> Any:
        tensors = iter(ctx.saved_tensors)
        inputs, groups, saved, states, augmented = (
            [next(tensors) for _ in range(size)] for size in ctx.sizes
        )
        prepared: Prepared | None = ctx.prepared
        ctx.prepared = None  # it holds the workspace in memory
        if torch.is_grad_enabled():  # create_graph=True, for a second derivative
            gradients = _differentiable_gradients(ctx, inputs, [g_hidden, *g_final])
        else:
            needs_values = ctx.needs_input_grad[4]
            if not ctx.every_step:
                g_hidden = None
            workspace = Workspace(groups, saved, states, *augmented)
            if prepared is None:
                blocks = split_blocks(ctx.cell, ctx.x, ctx.tuning)
                buffers = [workspace.of_steps(block.steps) for block in blocks]
                rebuilt = _projection_and_kernel(ctx.cell, ctx.x, inputs[1], ctx.tuning)
                prepared = blocks, *rebuilt, buffers
            gradients = _backward(
                ctx.cell, ctx.x, ctx.tuning, workspace, *prepared, needs_values, g_hidden, g_final
            )
        return None, None, None, None, *gradients


def _hidden_states(states: Tensor, steps: int) -> Tensor:
    """The hidden states after each step, (T, R, H), sharing the memory of `states` without being a
    view of it.

    autograd does not detect in-place changes of views returned by a function. This tensor keeps the
    whole `augmented` tensor of the workspace in memory.
    """
    view = states[1 : steps + 1]
    own = states.new_empty(0)
    return own.set_(view.untyped_storage(), view.storage_offset(), view.shape, view.stride())


# Backward ---------------------------------------------------------------------------------------


def _backward(
    cell: Cell,
    x: Sequences,
    tuning: Tuning,
    workspace: Workspace,
    blocks: list[Block],
    projection: Projection,
    kernel: CellKernel,
    buffers: list[list[StepBuffers]],
    needs_values: bool,
    g_hidden: Tensor | None,
    g_final: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients of the values of x (None unless needs_values), of the input weight and of the
    other parameters; buffers: one for each step of each block."""
    projection.start_gradients()
    zeros = cell.bias.new_zeros(x.batch, cell.hidden_size)
    g_state = [zeros.clone() if g is None else g.clone() for g in g_final]
    g_outputs = None if g_hidden is None else g_hidden.unbind(0)
    # The weights of one product share a gradient tensor, under the name of the first weight:
    # [gradients of the recurrent weights; gradient of the input weight].
    heights = dict[str, int]()
    for first, *others in kernel.augmented:
        heights |= {first: workspace.augmented.shape[2], **dict.fromkeys(others, 0)}
    g_weights = {
        name: zeros.new_zeros(heights.get(name, len(one)), *one.shape[1:])
        for name, one in _other_parameters(cell).items()
    }
    g_values = torch.empty_like(x.values) if needs_values else None

    longest, last = (max(map(len, some), default=0) for some in (blocks, blocks[-1:]))
    extra = longest - last + extra_steps(blocks)  # the backward pass starts with the last block
    g_groups = allocate_groups(zeros, kernel.groups, last, extra)
    g_saved = [allocate_steps(zeros, last, extra) for _ in range(kernel.num_saved_gradients)]
    g_workspace = StepGradients(gates_of(g_groups, cell.hidden_size), g_groups, g_saved)
    g_of_steps = (unbind_steps(g, slice(0, longest)) for g in g_workspace)
    g_steps = [StepGradients(*g) for g in zip(*g_of_steps, strict=True)]
    for block, block_buffers in zip(reversed(blocks), reversed(buffers), strict=True):
        with tuning.products(x.batch, cell.hidden_size, cell.hidden_size):
            _run_block_backward(kernel, block, block_buffers, g_steps, g_outputs, g_state)
        g = StepGradients(*(flat_rows(tensors, 0, block.rows) for tensors in g_workspace))
        g_block_values = None if g_values is None else g_values[block.steps]
        with tuning.products(block.rows, cell.hidden_size, cell.hidden_size):
            kernel.add_weight_gradients(workspace.of_block(block), g, g_weights)
            projection.add_gradients(block.x.values, g.groups, g_block_values)
    g_inputs = []
    for names in kernel.augmented:
        sizes = [cell.hidden_size] * len(names) + [workspace.inputs.shape[2]]
        *g_recurrent, g_rows = g_weights[names[0]].split(sizes)
        g_weights.update(zip(names, g_recurrent, strict=True))
        g_inputs.append(g_rows)
    g_weight, g_weights["bias"] = projection.gradients(g_inputs)
    return [g_values, g_weight, *g_weights.values()]


@torch.inference_mode()
def _run_block_backward(
    kernel: CellKernel,
    block: Block,
    buffers: list[StepBuffers],
    g_steps: list[StepGradients],
    g_outputs: Sequence[Tensor] | None,
    g_state: list[Tensor],
) -> None:
    """Replace g_state, the gradient of the state after a block, by the gradient of the state before
    the block; write g_steps.

    g_outputs: the gradients of the T hidden states (R, H) that the forward pass returned.
    """
    for t in reversed(range(len(buffers))):
        if g_outputs is not None:
            g_state[0].add_(g_outputs[block.steps.start + t])
        if block.padding is None:
            kernel.backward(buffers[t], g_steps[t], g_state)
        else:
            _backward_with_padding(kernel, buffers[t], g_steps[t], g_state, block.padding[t])


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


def _differentiable_gradients(
    ctx: Any, inputs: list[Tensor], g_outputs: list[Tensor | None]
) -> Sequence[Any]:
    """The gradients from autograd on the plain path, differentiable in inputs and g_outputs."""
    x = replace(ctx.x, values=inputs[0])
    projected = x.project(inputs[1], ctx.cell.bias)
    hidden, final = run_over(ctx.cell, projected, x.padding, ctx.every_step)
    outputs = [
        (out, g) for out, g in zip([hidden, *final], g_outputs, strict=True) if g is not None
    ]
    gradients = iter(
        torch.autograd.grad(
            [output for output, _ in outputs],
            [tensor for tensor in inputs if tensor.requires_grad],
            [g for _, g in outputs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [next(gradients) if tensor.requires_grad else None for tensor in inputs]
