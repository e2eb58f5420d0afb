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

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnexp.nn import kernels
from rnnexp.nn.cells import Cell, State
from rnnexp.nn.plain import run_over
from rnnexp.nn.projections import Projection, projection_of
from rnnexp.nn.representations import Sequences
from rnnexp.nn.steps import STEPS, Gradients, Step, Steps

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


class Block(NamedTuple):
    """Some steps of all rows: their inputs, which they are, and (S, R, 1), which sequences are over
    at each; None where none is."""

    x: Sequences
    steps: slice
    over: Tensor | None


def _block_size(rows: int) -> int:
    """How many steps of so many sequences are a block; the last one of a batch may be shorter."""
    return max(1, BLOCK // max(1, rows))


def _blocks(x: Sequences) -> Iterator[Block]:
    size = _block_size(x.batch)
    padding, shortest = x.padding, x.steps if x.lengths is None else int(x.lengths.min())
    for start in range(0, x.steps, size):
        steps = slice(start, min(start + size, x.steps))
        over = None if padding is None or steps.stop <= shortest else padding[steps].unsqueeze(2)
        yield Block(replace(x, values=x.values[steps], lengths=None), steps, over)


class Memory(NamedTuple):
    """Tensors (T, R, H) of T steps; states: (T + 1, R, H), with the one before the first step.

    joined: (T + 1, R, H + J), of which the hidden states are the first H columns, and what stands
    beside them is the rest.
    """

    gates: list[Tensor]
    kept: list[Tensor]
    states: list[Tensor]
    joined: Tensor

    @property
    def beside(self) -> Tensor:
        """(T + 1, R, J)"""
        return self.joined[..., self.states[0].shape[2] :]

    def of(self, steps: slice) -> Step:
        """Of these steps, flattened: (S * R, H)."""
        later = slice(steps.start + 1, steps.stop + 1)

        def flat(tensors: list[Tensor], part: slice) -> list[Tensor]:
            return [tensor[part].flatten(0, 1) for tensor in tensors]

        return Step(
            flat(self.gates, steps),
            flat(self.kept, steps),
            flat(self.states, steps),
            flat(self.states, later),
            *flat([self.joined, self.beside], steps),
        )

    def each(self, steps: slice) -> list[Step]:
        """Of each of these steps: (R, H)."""
        states = _unbind(self.states, slice(steps.start, steps.stop + 1))
        gates, kept = _unbind(self.gates, steps), _unbind(self.kept, steps)
        joined: Sequence[Tensor] = [h for h, *_ in states[:-1]]
        beside: Sequence[Tensor] = [self.beside[0]] * len(gates)
        if self.beside.shape[2]:  # then it is something else
            joined, beside = self.joined[steps].unbind(0), self.beside[steps].unbind(0)
        each = zip(gates, kept, states[:-1], states[1:], joined, beside, strict=True)
        return [Step(*step) for step in each]


def _unbind(tensors: Sequence[Tensor], steps: slice) -> list[tuple[Tensor, ...]]:
    """Of each of these steps."""
    each = [tensor[steps].unbind(0) for tensor in tensors]
    return list(zip(*each, strict=True)) or [()] * (steps.stop - steps.start)


def _empty(like: Tensor, count: int, steps: int) -> list[Tensor]:
    """So many tensors of so many steps, each step like that."""
    return [like.new_empty(steps, *like.shape) for _ in range(count)]


def _projection(cell: Cell, x: Sequences, weight: Tensor) -> Projection:
    kind = STEPS[type(cell)]
    return projection_of(x, weight, kind.bias(cell), cell.projections, bool(kind.joining))


def _start(cell: Cell, x: Sequences, projection: Projection, steps: int) -> tuple[Steps, Memory]:
    """The cell's steps, and memory for so many of them; the state before the first is zero."""
    kind = STEPS[type(cell)]
    zero = cell.bias.new_zeros(x.batch, cell.hidden_size)
    width = len(projection.joined[0]) if projection.joined else 0
    joined = zero.new_empty(steps + 1, x.batch, cell.hidden_size + width)
    memory = Memory(
        _empty(zero, kind.gates, steps),
        _empty(zero, kind.kept, steps),
        [joined[..., : cell.hidden_size], *_empty(zero, kind.states - 1, steps + 1)],
        joined,
    )
    for state in memory.states:
        state[0] = zero
    return kind(cell, x.batch, projection.joined), memory


# Forward and backward ---------------------------------------------------------------------------


@torch.inference_mode()  # in which a call is cheaper: the memory is not autograd's concern
def _forward(
    projection: Projection, steps: Steps, block: Block, memory: Memory, place: slice
) -> list[Step]:
    """From the state before a block's first step to that after its last, at this place: what each
    step has read and written."""
    gates = [gate[place] for gate in memory.gates]
    with _kernels(steps, len(gates[0])):
        projection.write(block.x.values, gates, memory.beside[place])
    each = memory.each(place)
    with _kernels(steps):
        for t, step in enumerate(each):
            steps.forward(step)
            if block.over is not None:  # then the state stays as it is
                for before, after in zip(step.before, step.after, strict=True):
                    torch.where(block.over[t], before, after, out=after)
    return each


def _kernels(steps: Steps, count: int = 1) -> AbstractContextManager[None]:
    """Those for the products of one step, or of a whole block together. Blocks of other lengths
    stay with torch: for every new size oneDNN makes a kernel, and keeps it."""
    rows, hidden_size = steps.a.shape
    if count not in (1, _block_size(rows)):
        return nullcontext()
    return kernels.for_products(count * rows, hidden_size, hidden_size)


@torch.no_grad()
def _without_gradients(
    cell: Cell, x: Sequences, weight: Tensor, every_step: bool
) -> tuple[Tensor, ...]:
    """What `Fused` gives; the memory of one block is enough."""
    blocks = list(_blocks(x))
    projection = _projection(cell, x, weight)
    steps, memory = _start(cell, x, projection, blocks[0].steps.stop if blocks else 0)
    hidden = cell.bias.new_empty(x.steps if every_step else 0, x.batch, cell.hidden_size)
    last = 0
    for block in blocks:
        for state in memory.states:
            state[0].copy_(state[last])
        last = block.steps.stop - block.steps.start
        _forward(projection, steps, block, memory, slice(0, last))
        if every_step:
            hidden[block.steps] = memory.states[0][1 : last + 1]
    return hidden, *(state[last].clone() for state in memory.states)


class Fused(torch.autograd.Function):
    """A cell over some sequences -> every hidden state, or none, and the tensors of the final
    state. The values of x, the input weight and the cell's other parameters are arguments for the
    sake of their gradients."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, x: Sequences, every_step: bool, *inputs: Tensor) -> Any:
        projection = _projection(cell, x, inputs[1])
        steps, memory = _start(cell, x, projection, x.steps)
        # Views of what is saved below, so that the first backward need not make them again.
        ctx.each = [_forward(projection, steps, block, memory, block.steps) for block in _blocks(x)]
        ctx.cell, ctx.x, ctx.every_step = cell, x, every_step
        hidden = (
            _after_the_first(memory.states[0])
            if every_step
            else memory.states[0].new_empty(0, x.batch, cell.hidden_size)
        )
        saved = list(inputs), memory.gates, memory.kept, memory.states, [memory.joined]
        ctx.sizes = list(map(len, saved))
        # With what is returned, so that autograd notices if somebody changes it.
        ctx.save_for_backward(*chain(*saved), hidden)
        ctx.set_materialize_grads(False)
        return hidden, *(state[-1].clone() for state in memory.states)

    @staticmethod
    def backward(ctx: Any, g_hidden: Tensor | None, *g_final: Tensor | None) -> Any:
        saved = iter(ctx.saved_tensors)
        inputs, gates, kept, states, (joined,) = (
            [next(saved) for _ in range(size)] for size in ctx.sizes
        )
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            gradients = _plainly(ctx, inputs, [g_hidden, *g_final])
        else:
            wanted = ctx.needs_input_grad[3]
            if not ctx.every_step:
                g_hidden = None
            memory = Memory(gates, kept, states, joined)
            each, ctx.each = ctx.each, None  # they would keep the memory
            each = each or [memory.each(block.steps) for block in _blocks(ctx.x)]
            gradients = _backward(
                ctx.cell, ctx.x, inputs[1], memory, each, wanted, g_hidden, g_final
            )
        return None, None, None, *gradients


def _after_the_first(states: Tensor) -> Tensor:
    """states[1:], but a tensor of its own in the same memory: of a view that a function returns
    autograd does not see changes."""
    view = states[1:]
    own = states.new_empty(0)
    return own.set_(view.untyped_storage(), view.storage_offset(), view.shape, view.stride())


def _backward(
    cell: Cell,
    x: Sequences,
    weight: Tensor,
    memory: Memory,
    each_of_block: list[list[Step]],
    of_values: bool,
    g_hidden: Tensor | None,
    g_final: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients of the values of x (None unless of_values), of the input weight and of the
    cell's other parameters."""
    projection = _projection(cell, x, weight)
    projection.start_gradients()
    steps = STEPS[type(cell)](cell, x.batch, projection.joined)
    zeros = cell.bias.new_zeros(x.batch, cell.hidden_size)
    g_state = [zeros.clone() if g is None else g.clone() for g in g_final]
    g_steps = None if g_hidden is None else g_hidden.unbind(0)
    g_weights = {name: torch.zeros_like(one) for name, one in _other_parameters(cell).items()}
    joining = steps.joining if projection.joined else ()
    for name in joining:  # the rows of the inputs are below
        g_weights[name] = zeros.new_zeros(memory.joined.shape[2], g_weights[name].shape[1])
    g_values = torch.empty_like(x.values) if of_values else None

    blocks = list(_blocks(x))
    longest = blocks[0].steps if blocks else slice(0, 0)
    g_memory = Gradients(
        _empty(zeros, steps.gates, longest.stop), _empty(zeros, steps.kept, longest.stop)
    )
    g_each = [Gradients(*g) for g in zip(*(_unbind(g, longest) for g in g_memory), strict=True)]
    for block, each in zip(reversed(blocks), reversed(each_of_block), strict=True):
        _back_through(steps, block, each, g_each, g_steps, g_state)
        place = slice(0, len(each))
        g = Gradients(
            *([tensor[place].flatten(0, 1) for tensor in tensors] for tensors in g_memory)
        )
        g_gates = [gate[place] for gate in g_memory.gates]
        g_block = None if g_values is None else g_values[block.steps]
        with _kernels(steps, len(each)):
            steps.weights(memory.of(block.steps), g, g_weights)
            projection.add_gradients(block.x.values, g_gates, g_block)
    below = [g_weights[name][cell.hidden_size :] for name in joining]
    g_weight, g_weights["bias"] = projection.gradients(below)
    for name in joining:
        g_weights[name] = g_weights[name][: cell.hidden_size]
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
    with _kernels(steps):
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
