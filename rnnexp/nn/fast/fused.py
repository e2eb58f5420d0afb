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
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.fast.choices import tuning_of
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.kernels.base import CellKernel, StepGradients
from rnnexp.nn.fast.loops import Loop, PythonLoop
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
)
from rnnexp.nn.plain import run_over
from rnnexp.nn.representations import Sequences


def has_fused_path(cell: Cell) -> bool:
    """Whether there is a kernel for this cell and for the dtype of its parameters."""
    return type(cell) in KERNELS and cell.bias.dtype in (torch.float32, torch.float64)


def run_fused(
    cell: Cell,
    x: Sequences,
    every_step: bool,
    tuning: Tuning | None = None,
    loop: type[Loop] = PythonLoop,
) -> tuple[Tensor, State]:
    """Run one cell over x. Returns the hidden states (T, B, H), or an empty tensor (0, B, H) unless
    every_step, and the final state. tuning: None for that of this processor. loop: what runs the
    steps of a block."""
    how = _How(loop, loop.tuned(tuning or tuning_of(type(cell).__name__)))
    results = []
    x, weight = x.without_padding().in_use(cell.input_weight)
    for group in x.split(how.tuning.group_sequences):
        inputs = (group.values, weight, *_other_parameters(cell).values())
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            results.append(Fused.apply(cell, group, every_step, how, *inputs))
        else:
            results.append(_run_without_gradients(cell, group, weight, every_step, how))
    if len(results) == 1:
        hidden, *final = results[0]
    else:
        hidden, *final = (torch.cat(outputs, dim=-2) for outputs in zip(*results, strict=True))
    return hidden, tuple(final)


class _How(NamedTuple):
    """How the steps are computed."""

    loop: type[Loop]
    tuning: Tuning


def _other_parameters(cell: Cell) -> dict[str, Tensor]:
    """All parameters except the input weight, which is passed separately: it may be reduced to the
    rows in use."""
    return {name: one for name, one in cell.named_parameters() if name != "input_weight"}


class _Parts(NamedTuple):
    """What runs a cell over the blocks of one group."""

    blocks: list[Block]
    projection: Projection
    kernel: CellKernel
    loop: Loop


def _parts(cell: Cell, x: Sequences, weight: Tensor, how: _How) -> _Parts:
    """The parts for a group of sequences; weight: (I, P * H)."""
    kind, tuning = KERNELS[type(cell)], how.tuning
    augments = kind.augmented and tuning.augments(x.batch, cell.hidden_size)
    state_columns = cell.hidden_size * len(kind.adjacent_states) if augments else 0
    gates = kind.gates_of_groups(cell, x.batch, tuning)
    columns = [count * cell.hidden_size for count in gates]
    projection = projection_of(x, weight, kind.input_bias(cell), columns, state_columns)
    kernel = kind(cell, x.batch, projection.input_weights, tuning)
    return _Parts(split_blocks(cell, x, tuning), projection, kernel, how.loop(kernel))


# Forward ----------------------------------------------------------------------------------------


@torch.inference_mode()  # autograd does not track the workspace
def _run_block(
    parts: _Parts, block: Block, workspace: Workspace, steps: slice, tuning: Tuning
) -> Any:
    """Run a block, from the state before its first step to the state after its last step.

    steps: range of the block in the workspace. Returns the buffers of its steps.
    """
    sequences, hidden_size = parts.kernel.scratch_a.shape
    with tuning.products(block.rows, hidden_size, hidden_size):
        groups = flat_rows(workspace.groups, steps.start, block.rows)
        parts.projection.write(block.x.values, groups, workspace.inputs[steps])
    buffers = parts.loop.buffers(workspace, steps)
    with tuning.products(sequences, hidden_size, hidden_size):
        parts.loop.forward(block, buffers)
    return buffers


@torch.no_grad()
def _run_without_gradients(
    cell: Cell, x: Sequences, weight: Tensor, every_step: bool, how: _How
) -> tuple[Tensor, ...]:
    """The outputs of `Fused`, computed with the memory of a single block."""
    parts = _parts(cell, x, weight, how)
    longest, extra = max(map(len, parts.blocks), default=0), extra_steps(parts.blocks)
    groups = parts.kernel.groups
    workspace = allocate_workspace(cell, parts.projection, groups, x.batch, longest, extra)
    hidden = cell.bias.new_empty(x.steps if every_step else 0, x.batch, cell.hidden_size)
    last = 0
    for block in parts.blocks:
        for state in workspace.states:
            state[0].copy_(state[last])
        last = len(block)
        _run_block(parts, block, workspace, slice(0, last), how.tuning)
        if every_step:
            hidden[block.steps] = workspace.states[0][1 : last + 1]
    return hidden, *(state[last].clone() for state in workspace.states)


class Fused(torch.autograd.Function):
    """Run a cell over one group. Returns the hidden states, or an empty tensor unless every_step,
    and the tensors of the final state.

    inputs: the values of x, the input weight and the other parameters of the cell. They are
    arguments because autograd computes gradients of arguments only.
    """

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, x: Sequences, every_step: bool, how: _How, *inputs: Tensor
    ) -> Any:
        parts = _parts(cell, x, inputs[1], how)
        extra, groups = extra_steps(parts.blocks), parts.kernel.groups
        workspace = allocate_workspace(cell, parts.projection, groups, x.batch, x.steps, extra)
        buffers = [
            _run_block(parts, block, workspace, block.steps, how.tuning) for block in parts.blocks
        ]
        # The first backward pass uses these objects; later ones rebuild them from saved tensors.
        ctx.prepared = parts, buffers
        ctx.cell, ctx.x, ctx.every_step, ctx.how = cell, x, every_step, how
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
        prepared: tuple[_Parts, list[Any]] | None = ctx.prepared
        ctx.prepared = None  # it holds the workspace in memory
        if torch.is_grad_enabled():  # create_graph=True, for a second derivative
            gradients = _differentiable_gradients(ctx, inputs, [g_hidden, *g_final])
        else:
            needs_values = ctx.needs_input_grad[4]
            if not ctx.every_step:
                g_hidden = None
            workspace = Workspace(groups, saved, states, *augmented)
            if prepared is None:
                parts = _parts(ctx.cell, ctx.x, inputs[1], ctx.how)
                prepared = parts, [parts.loop.buffers(workspace, one.steps) for one in parts.blocks]
            tuning = ctx.how.tuning
            gradients = _backward(
                ctx.cell, ctx.x, tuning, workspace, *prepared, needs_values, g_hidden, g_final
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
    parts: _Parts,
    buffers: list[Any],
    needs_values: bool,
    g_hidden: Tensor | None,
    g_final: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients of the values of x (None unless needs_values), of the input weight and of the
    other parameters; buffers: of the steps of each block."""
    blocks, projection, kernel, loop = parts
    projection.start_gradients()
    zeros = cell.bias.new_zeros(x.batch, cell.hidden_size)
    g_state = [zeros.clone() if g is None else g.clone() for g in g_final]
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
    g_buffers = loop.gradient_buffers(g_workspace, longest)
    for block, block_buffers in zip(reversed(blocks), reversed(buffers), strict=True):
        g_outputs = None if g_hidden is None else g_hidden[block.steps]
        with tuning.products(x.batch, cell.hidden_size, cell.hidden_size):
            loop.backward(block, block_buffers, g_buffers, g_outputs, g_state)
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
