"""Blocks of steps, and the workspace: the memory for running a cell (README.md draws it).

T is the number of steps, R the number of sequences in a group, S the number of steps in a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.kernels.base import StepBuffers
from rnnexp.nn.fast.projections import Projection
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.representations import Sequences


@dataclass(frozen=True)
class Block:
    """Consecutive steps of all R sequences.

    x: inputs of the S steps. steps: their range. padding: (S, R, 1), True after the end of a
    sequence; None if the block has no padding. rows: number of rows in products over the block,
    S * R or slightly more (`Tuning.padded_rows`).
    """

    x: Sequences
    steps: slice
    padding: Tensor | None
    rows: int

    def __len__(self) -> int:
        return self.steps.stop - self.steps.start


def split_blocks(cell: Cell, x: Sequences, tuning: Tuning) -> list[Block]:
    """Split the steps of x into blocks of about `tuning.block_rows` rows; the last may be shorter.

    The input projections of a block are computed together. They should still be in the processor's
    cache when the steps read them.
    """
    size = max(1, tuning.block_rows // max(1, x.batch))
    may_pad = not cell.bias.is_cuda and cell.bias.dtype == torch.float32
    padding, shortest = x.padding, x.steps if x.lengths is None else int(x.lengths.min())
    blocks = []
    for start in range(0, x.steps, size):
        steps = slice(start, min(start + size, x.steps))
        is_full = padding is None or steps.stop <= shortest
        block_padding = None if padding is None or is_full else padding[steps].unsqueeze(2)
        rows = (steps.stop - start) * x.batch
        if may_pad:
            rows = tuning.padded_rows(rows, cell.hidden_size, cell.hidden_size)
        values = replace(x, values=x.values[steps], lengths=None)
        blocks.append(Block(values, steps, block_padding, rows))
    return blocks


# StepBuffers._make without its Python frame: one is made for every step.
_step_buffers = partial(tuple.__new__, StepBuffers)


class Workspace(NamedTuple):
    """The memory for T steps of R sequences.

    groups: tensors (T, R, n * H), each with the n gates that share a product side by side. saved:
    tensors (T, R, H). states: tensors (T + 1, R, H); row 0 is the state before the first step.
    augmented: (T + 1, R, N * H + J), the concatenation of N state tensors, the hidden state first,
    and J columns of inputs; these N tensors in `states` are views of it. Every tensor ends with
    zeros for the padded rows of a block.
    """

    groups: list[Tensor]
    saved: list[Tensor]
    states: list[Tensor]
    augmented: Tensor
    inputs: Tensor  # (T + 1, R, J), the last columns of augmented

    @property
    def hidden_size(self) -> int:
        return self.states[0].shape[2]

    def of_block(self, block: Block) -> StepBuffers:
        """The buffers of a block, with its steps flattened: tensors (rows, H)."""
        start, rows = block.steps.start, block.rows
        groups = flat_rows(self.groups, start, rows)
        return StepBuffers(
            gates_of(groups, self.hidden_size),
            groups,
            flat_rows(self.saved, start, rows),
            flat_rows(self.states, start, rows),
            flat_rows(self.states, start + 1, rows),
            *flat_rows([self.augmented, self.inputs], start, rows),
        )

    def of_steps(self, steps: slice) -> list[StepBuffers]:
        """The buffers of each step in a range: tensors (R, H)."""
        states = unbind_steps(self.states, slice(steps.start, steps.stop + 1))
        groups, saved = unbind_steps(self.groups, steps), unbind_steps(self.saved, steps)
        gates = groups
        if len(each_gate := gates_of(self.groups, self.hidden_size)) > len(self.groups):
            gates = unbind_steps(each_gate, steps)
        augmented: Sequence[Tensor] = [h for h, *_ in states[:-1]]
        inputs: Sequence[Tensor] = [self.inputs[0]] * len(gates)
        if self.augmented.shape[2] > self.states[0].shape[2]:  # more than the hidden state alone
            augmented = self.augmented[steps].unbind(0)
        if self.inputs.shape[2]:
            inputs = self.inputs[steps].unbind(0)
        each = zip(gates, groups, saved, states[:-1], states[1:], augmented, inputs, strict=True)
        return list(map(_step_buffers, each))


def gates_of(groups: Sequence[Tensor], hidden_size: int) -> Sequence[Tensor]:
    """Every gate (..., H) as a view of the group (..., n * H) that holds it."""
    if all(group.shape[-1] == hidden_size for group in groups):
        return groups
    return [gate for group in groups for gate in group.split(hidden_size, dim=-1)]


def flat_rows(tensors: Sequence[Tensor], start: int, rows: int) -> list[Tensor]:
    """The given number of rows of each tensor (T, R, H), from step `start` on: (rows, H)."""
    return [tensor.flatten(0, 1).narrow(0, start * tensor.shape[1], rows) for tensor in tensors]


def unbind_steps(tensors: Sequence[Tensor], steps: slice) -> list[tuple[Tensor, ...]]:
    """For each step, a tuple of its slices (R, H) of all tensors (T, R, H)."""
    each = [tensor[steps].unbind(0) for tensor in tensors]
    return list(zip(*each, strict=True)) or [()] * (steps.stop - steps.start)


def extra_steps(blocks: list[Block]) -> int:
    """The number of steps of memory that the padded rows of any block need after its last step."""
    steps = [-(-block.rows // max(1, block.x.batch)) - len(block) for block in blocks]
    return max([0, *steps])


def allocate_steps(like: Tensor, steps: int, extra: int) -> Tensor:
    """Memory for `steps` steps of the shape of `like`, followed by zeros for `extra` steps."""
    memory = like.new_empty(steps + extra, *like.shape)
    memory[steps:].zero_()
    return memory


def allocate_groups(like: Tensor, gates: Sequence[int], steps: int, extra: int) -> list[Tensor]:
    """Memory for groups of so many gates: (steps + extra, R, n * H) for n gates; like: (R, H)."""
    sequences, size = like.shape
    return [allocate_steps(like.new_empty(sequences, n * size), steps, extra) for n in gates]


def allocate_workspace(
    cell: Cell, projection: Projection, gates: Sequence[int], batch: int, steps: int, extra: int
) -> Workspace:
    """A workspace for `steps` steps of `batch` sequences, with a zero initial state.

    gates: number of gates in each group.
    """
    kernel = KERNELS[type(cell)]
    zero = cell.bias.new_zeros(batch, cell.hidden_size)
    width = len(projection.input_weights[0]) if projection.input_weights else 0
    columns = [cell.hidden_size] * len(kernel.adjacent_states)
    augmented = allocate_steps(zero.new_empty(batch, sum(columns) + width), steps + 1, extra)
    *views, inputs = augmented.split([*columns, width], dim=2)
    inputs[steps:].zero_()  # including the row of the final state, which padded rows may read
    adjacent = dict(zip(kernel.adjacent_states, views, strict=True))
    workspace = Workspace(
        allocate_groups(zero, gates, steps, extra),
        [allocate_steps(zero, steps, extra) for _ in range(kernel.num_saved)],
        [
            adjacent[n] if n in adjacent else allocate_steps(zero, steps + 1, extra)
            for n in range(kernel.num_states)
        ],
        augmented,
        inputs,
    )
    for state in workspace.states:
        state[0] = zero
    return workspace
