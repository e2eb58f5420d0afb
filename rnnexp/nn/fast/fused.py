"""The fused path: a cell over time as one function of autograd, in memory that is used again.

Equal to the plain path (`rnnexp.nn.plain`) up to the order of summation, and faster:

- A few features stand beside the hidden state, and one product is over both. Other input
  projections are made for a block of steps at a time, right before they are used: they are still in
  the processor's cache then. The gates take their place.
- Nothing is recorded but gates and states. The gradients of a block of steps go into those of the
  weights as one product, and are forgotten.
- The batch is cut into rows (sequences) of which the state of a step fits into the cache.

A second derivative is taken on the plain path.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnexp.nn.cells import Cell, State
from rnnexp.nn.fast import kernels
from rnnexp.nn.fast.projections import Projection, projection_of
from rnnexp.nn.fast.steps import STEPS, Gradients, Step, Steps
from rnnexp.nn.plain import run_over
from rnnexp.nn.representations import Sequences

ROWS = 512  # sequences that are run together
BLOCK = 4096  # sequences times steps of which the projections are made together


def has_fused_path(cell: Cell) -> bool:
    """Whether the cell's step is written by hand, for the type of its numbers."""
    return type(cell) in STEPS and cell.bias.dtype in (torch.float32, torch.float64)


def run_fused(cell: Cell, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
    """Run one cell over x: every hidden state (T, B, H), or none (0, B, H) unless every_step, and
    the final state."""
    parts = []
    x, weight = x.without_padding().in_use(cell.input_weight)
    for rows in x.split(ROWS):
        inputs = (rows.values, weight, *_other_parameters(cell).values())
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            parts.append(Fused.apply(cell, rows, every_step, *inputs))
        else:
            parts.append(_without_gradients(cell, rows, weight, every_step))
    if len(parts) == 1:
        hidden, *final = parts[0]
    else:
        hidden, *final = (torch.cat(of_rows, dim=-2) for of_rows in zip(*parts, strict=True))
    return hidden, tuple(final)


def _other_parameters(cell: Cell) -> dict[str, Tensor]:
    """All but the input weight, of which only a part may be in use."""
    return {name: one for name, one in cell.named_parameters() if name != "input_weight"}


# Blocks of steps, and their memory --------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Some steps of all sequences: their inputs, which they are, and (S, R, 1), which sequences are
    over at each; None where none is. rows: S * R, or some more, that are multiplied together."""

    x: Sequences
    steps: slice
    over: Tensor | None
    rows: int

    def __len__(self) -> int:
        return self.steps.stop - self.steps.start


def _blocks(cell: Cell, x: Sequences) -> list[Block]:
    size = max(1, BLOCK // max(1, x.batch))
    by_kernels = not cell.bias.is_cuda and cell.bias.dtype == torch.float32
    padding, shortest = x.padding, x.steps if x.lengths is None else int(x.lengths.min())
    blocks = []
    for start in range(0, x.steps, size):
        steps = slice(start, min(start + size, x.steps))
        over = None if padding is None or steps.stop <= shortest else padding[steps].unsqueeze(2)
        rows = (steps.stop - start) * x.batch
        if by_kernels:
            rows = kernels.rounded(rows, cell.hidden_size, cell.hidden_size)
        blocks.append(Block(replace(x, values=x.values[steps], lengths=None), steps, over, rows))
    return blocks


class Memory(NamedTuple):
    """Tensors (T, R, H) of T steps; states: (T + 1, R, H), with the one before the first step.

    joined: (T + 1, R, N * H + J), N of the states side by side, the hidden one first, and inputs.
    All of them go on with zeros behind the last step, as far as the rows of a block do.
    """

    gates: list[Tensor]
    kept: list[Tensor]
    states: list[Tensor]
    joined: Tensor
    inputs: Tensor  # (T + 1, R, J), the last columns of joined

    def of(self, block: Block) -> Step:
        """Of a block's steps together: (rows, H)."""
        start, rows = block.steps.start, block.rows
        return Step(
            _flat(self.gates, start, rows),
            _flat(self.kept, start, rows),
            _flat(self.states, start, rows),
            _flat(self.states, start + 1, rows),
            *_flat([self.joined, self.inputs], start, rows),
        )

    def each(self, steps: slice) -> list[Step]:
        """Of each of these steps: (R, H)."""
        states = _unbind(self.states, slice(steps.start, steps.stop + 1))
        gates, kept = _unbind(self.gates, steps), _unbind(self.kept, steps)
        joined: Sequence[Tensor] = [h for h, *_ in states[:-1]]
        inputs: Sequence[Tensor] = [self.inputs[0]] * len(gates)
        if self.joined.shape[2] > self.states[0].shape[2]:  # then it is something else
            joined = self.joined[steps].unbind(0)
        if self.inputs.shape[2]:
            inputs = self.inputs[steps].unbind(0)
        each = zip(gates, kept, states[:-1], states[1:], joined, inputs, strict=True)
        return list(map(Step._make, each))


def _flat(tensors: Sequence[Tensor], start: int, rows: int) -> list[Tensor]:
    """So many rows from this step on: (rows, H)."""
    return [tensor.flatten(0, 1).narrow(0, start * tensor.shape[1], rows) for tensor in tensors]


def _unbind(tensors: Sequence[Tensor], steps: slice) -> list[tuple[Tensor, ...]]:
    """Of each of these steps."""
    each = [tensor[steps].unbind(0) for tensor in tensors]
    return list(zip(*each, strict=True)) or [()] * (steps.stop - steps.start)


def _behind(blocks: list[Block]) -> int:
    """How many steps the rows of a block go on behind its last."""
    steps = [-(-block.rows // max(1, block.x.batch)) - len(block) for block in blocks]
    return max([0, *steps])


def _room(like: Tensor, steps: int, behind: int) -> Tensor:
    """Memory of so many steps, each like that, and zeros for some steps more."""
    room = like.new_empty(steps + behind, *like.shape)
    room[steps:].zero_()
    return room


def _operators(cell: Cell, x: Sequences, weight: Tensor) -> tuple[Projection, Steps]:
    """The cell's projection and its steps. They hold its weights, or copies of them."""
    kind = STEPS[type(cell)]
    beside = cell.hidden_size * len(kind.side_by_side) if kind.joining else 0
    projection = projection_of(x, weight, kind.bias(cell), cell.projections, beside)
    return projection, kind(cell, x.batch, projection.joined)


def _memory(cell: Cell, projection: Projection, batch: int, steps: int, behind: int) -> Memory:
    """For so many steps of so many sequences; the state before the first is zero."""
    kind = STEPS[type(cell)]
    zero = cell.bias.new_zeros(batch, cell.hidden_size)
    width = len(projection.joined[0]) if projection.joined else 0
    columns = [cell.hidden_size] * len(kind.side_by_side)
    joined = _room(zero.new_empty(batch, sum(columns) + width), steps + 1, behind)
    *together, inputs = joined.split([*columns, width], dim=2)
    inputs[steps:].zero_()  # beside the final state, too, to where the rows of a block may reach
    side_by_side = dict(zip(kind.side_by_side, together, strict=True))
    memory = Memory(
        [_room(zero, steps, behind) for _ in range(kind.gates)],
        [_room(zero, steps, behind) for _ in range(kind.kept)],
        [
            side_by_side[n] if n in side_by_side else _room(zero, steps + 1, behind)
            for n in range(kind.states)
        ],
        joined,
        inputs,
    )
    for state in memory.states:
        state[0] = zero
    return memory


# Forward and backward ---------------------------------------------------------------------------


@torch.inference_mode()  # in which a call is cheaper: the memory is not autograd's concern
def _forward(
    projection: Projection, steps: Steps, block: Block, memory: Memory, place: slice
) -> list[Step]:
    """From the state before a block's first step to that after its last, at this place: what each
    step has read and written."""
    sequences, hidden_size = steps.a.shape
    with kernels.for_products(block.rows, hidden_size, hidden_size):
        gates = _flat(memory.gates, place.start, block.rows)
        projection.write(block.x.values, gates, memory.inputs[place])
    each = memory.each(place)
    with kernels.for_products(sequences, hidden_size, hidden_size):
        for t, step in enumerate(each):
            steps.forward(step)
            if block.over is not None:  # then the state stays as it is
                for before, after in zip(step.before, step.after, strict=True):
                    torch.where(block.over[t], before, after, out=after)
    return each


@torch.no_grad()
def _without_gradients(
    cell: Cell, x: Sequences, weight: Tensor, every_step: bool
) -> tuple[Tensor, ...]:
    """What `Fused` gives; the memory of one block is enough."""
    blocks = _blocks(cell, x)
    projection, steps = _operators(cell, x, weight)
    longest = max(map(len, blocks), default=0)
    memory = _memory(cell, projection, x.batch, longest, _behind(blocks))
    hidden = cell.bias.new_empty(x.steps if every_step else 0, x.batch, cell.hidden_size)
    last = 0
    for block in blocks:
        for state in memory.states:
            state[0].copy_(state[last])
        last = len(block)
        _forward(projection, steps, block, memory, slice(0, last))
        if every_step:
            hidden[block.steps] = memory.states[0][1 : last + 1]
    return hidden, *(state[last].clone() for state in memory.states)


Made = tuple[list[Block], Projection, Steps, list[list[Step]]]


class Fused(torch.autograd.Function):
    """A cell over some sequences -> every hidden state, or none, and the tensors of the final
    state. The values of x, the input weight and the cell's other parameters are arguments for the
    sake of their gradients."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, x: Sequences, every_step: bool, *inputs: Tensor) -> Any:
        blocks = _blocks(cell, x)
        projection, steps = _operators(cell, x, inputs[1])
        memory = _memory(cell, projection, x.batch, x.steps, _behind(blocks))
        each = [_forward(projection, steps, block, memory, block.steps) for block in blocks]
        # All of it from what is saved below: the first backward need not make it again.
        ctx.made = blocks, projection, steps, each
        ctx.cell, ctx.x, ctx.every_step = cell, x, every_step
        hidden = (
            _outputs(memory.states[0], x.steps)
            if every_step
            else memory.states[0].new_empty(0, x.batch, cell.hidden_size)
        )
        joined = [memory.joined, memory.inputs]
        saved = list(inputs), memory.gates, memory.kept, memory.states, joined
        ctx.sizes = list(map(len, saved))
        # With what is returned, so that autograd notices if somebody changes it.
        ctx.save_for_backward(*chain(*saved), hidden)
        ctx.set_materialize_grads(False)
        return hidden, *(state[x.steps].clone() for state in memory.states)

    @staticmethod
    def backward(ctx: Any, g_hidden: Tensor | None, *g_final: Tensor | None) -> Any:
        saved = iter(ctx.saved_tensors)
        inputs, gates, kept, states, joined = (
            [next(saved) for _ in range(size)] for size in ctx.sizes
        )
        made: Made | None = ctx.made
        ctx.made = None  # it would keep the memory
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            gradients = _plainly(ctx, inputs, [g_hidden, *g_final])
        else:
            wanted = ctx.needs_input_grad[3]
            if not ctx.every_step:
                g_hidden = None
            memory = Memory(gates, kept, states, *joined)
            if made is None:
                blocks = _blocks(ctx.cell, ctx.x)
                each = [memory.each(block.steps) for block in blocks]
                made = blocks, *_operators(ctx.cell, ctx.x, inputs[1]), each
            gradients = _backward(ctx.cell, ctx.x, memory, *made, wanted, g_hidden, g_final)
        return None, None, None, *gradients


def _outputs(states: Tensor, steps: int) -> Tensor:
    """The states after each of so many steps, but as a tensor of its own in the same memory: of a
    view that a function returns autograd does not see changes. Whoever keeps it keeps what stands
    beside the hidden states."""
    view = states[1 : steps + 1]
    own = states.new_empty(0)
    return own.set_(view.untyped_storage(), view.storage_offset(), view.shape, view.stride())


def _backward(
    cell: Cell,
    x: Sequences,
    memory: Memory,
    blocks: list[Block],
    projection: Projection,
    steps: Steps,
    each_of_block: list[list[Step]],
    of_values: bool,
    g_hidden: Tensor | None,
    g_final: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients of the values of x (None unless of_values), of the input weight and of the
    cell's other parameters."""
    projection.start_gradients()
    zeros = cell.bias.new_zeros(x.batch, cell.hidden_size)
    g_state = [zeros.clone() if g is None else g.clone() for g in g_final]
    g_steps = None if g_hidden is None else g_hidden.unbind(0)
    heights = dict[str, int]()
    for first, *others in steps.joining:  # they are below it, and the rows of the inputs are too
        heights |= {first: memory.joined.shape[2], **dict.fromkeys(others, 0)}
    g_weights = {
        name: zeros.new_zeros(heights.get(name, len(one)), *one.shape[1:])
        for name, one in _other_parameters(cell).items()
    }
    g_values = torch.empty_like(x.values) if of_values else None

    longest, last = (max(map(len, some), default=0) for some in (blocks, blocks[-1:]))
    behind = longest - last + _behind(blocks)  # the last block is the first one here
    g_memory = Gradients(
        [_room(zeros, last, behind) for _ in range(steps.gates)],
        [_room(zeros, last, behind) for _ in range(steps.kept_gradients)],
    )
    of_each = (_unbind(g, slice(0, longest)) for g in g_memory)
    g_each = [Gradients(*g) for g in zip(*of_each, strict=True)]
    for block, each in zip(reversed(blocks), reversed(each_of_block), strict=True):
        _back_through(steps, block, each, g_each, g_steps, g_state)
        g = Gradients(*(_flat(tensors, 0, block.rows) for tensors in g_memory))
        g_block = None if g_values is None else g_values[block.steps]
        with kernels.for_products(block.rows, cell.hidden_size, cell.hidden_size):
            steps.weights(memory.of(block), g, g_weights)
            projection.add_gradients(block.x.values, g.gates, g_block)
    below = []
    for names in steps.joining:
        parts = [cell.hidden_size] * len(names)
        *g_recurrent, g_inputs = g_weights[names[0]].split([*parts, memory.inputs.shape[2]])
        g_weights.update(zip(names, g_recurrent, strict=True))
        below.append(g_inputs)
    g_weight, g_weights["bias"] = projection.gradients(below)
    return [g_values, g_weight, *g_weights.values()]


@torch.inference_mode()
def _back_through(
    steps: Steps,
    block: Block,
    each: list[Step],
    g_each: list[Gradients],
    g_steps: Sequence[Tensor] | None,
    g_state: list[Tensor],
) -> None:
    """g_state, of the state after a block's last step, becomes that of the state before its first;
    g_each is written."""
    sequences, hidden_size = steps.a.shape
    with kernels.for_products(sequences, hidden_size, hidden_size):
        for t in reversed(range(len(each))):
            if g_steps is not None:
                g_state[0].add_(g_steps[block.steps.start + t])
            if block.over is None:
                steps.backward(each[t], g_each[t], g_state)
            else:
                _backward_past(steps, each[t], g_each[t], g_state, block.over[t])


def _backward_past(
    steps: Steps, step: Step, g: Gradients, g_state: list[Tensor], over: Tensor
) -> None:
    """One step back, past which goes the gradient of the sequences that were over."""
    past = [g_s.masked_fill(~over, 0) for g_s in g_state]
    for g_s in g_state:
        g_s.masked_fill_(over, 0)
    steps.backward(step, g, g_state)
    for g_s, g_past in zip(g_state, past, strict=True):
        g_s.add_(g_past)


def _plainly(ctx: Any, inputs: list[Tensor], g_outputs: list[Tensor | None]) -> Sequence[Any]:
    """The same gradients as functions of the inputs and of g_outputs, by autograd."""
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
