"""The plain path: a cell over time, step by step, on which autograd does everything.

The reference for the other paths, and the path of every cell that has no other.
"""

import torch
from torch import Tensor

from rnnexp.nn.cells import Cell, State
from rnnexp.nn.representations import Sequences


def run_plain(cell: Cell, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
    """Run one cell over x: every hidden state (T, B, H), or none (0, B, H) unless every_step, and
    the final state."""
    return run_over(cell, cell.project(x), x.padding, every_step)


def run_over(
    cell: Cell, projected: Tensor, padding: Tensor | None, every_step: bool
) -> tuple[Tensor, State]:
    """The same from the input projections (T, B, projections * H); padding: (T, B), or None."""
    hidden, state = run_steps(cell, projected, padding, cell.zero_state(projected.shape[1]))
    return gathered(hidden, state, every_step)


def run_steps(
    cell: Cell, projected: Tensor, padding: Tensor | None, state: State
) -> tuple[list[Tensor], State]:
    """From a state on: the hidden state (B, H) after each step, and the state after the last."""
    hidden = []
    # Unbound once: indexing one step inside the loop would make the backward pass O(T^2).
    for t, x_t in enumerate(projected.unbind(0)):
        following = cell(x_t, state)
        if padding is not None:
            ended = padding[t].unsqueeze(1)  # (B, 1)
            following = tuple(
                torch.where(ended, old, new) for new, old in zip(following, state, strict=True)
            )
        state = following
        hidden.append(state[0])
    return hidden, state


def gathered(hidden: list[Tensor], state: State, every_step: bool) -> tuple[Tensor, State]:
    """What a recurrence gives: all hidden states as one tensor, or none, and the final state."""
    if not every_step or not hidden:  # a readout may leave a sequence of one step none
        return state[0].new_empty(0, *state[0].shape), state
    return torch.stack(hidden), state
