"""The plain path: a cell over time, step by step, with gradients by autograd.

It is the reference for the other paths, and runs every cell that has no other.
"""

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.representations import Sequences


def run_plain(cell: Cell, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
    """Run one cell over x: all hidden states (T, B, H), or none (0, B, H) unless every_step, and
    the final state."""
    return run_over(cell, cell.project(x), x.padding, every_step)


def run_over(
    cell: Cell, projected: Tensor, padding: Tensor | None, every_step: bool
) -> tuple[Tensor, State]:
    """As `run_plain`, from the input projections (T, B, projections * H); padding: (T, B)."""
    hidden, state = run_steps(cell, projected, padding, cell.zero_state(projected.shape[1]))
    return stack_states(hidden, state, every_step)


def run_steps(
    cell: Cell, projected: Tensor, padding: Tensor | None, state: State
) -> tuple[list[Tensor], State]:
    """Start from `state`: the hidden state (B, H) after each step, and the state after the last."""
    hidden = []
    # Unbound once: indexing one step inside the loop would make the backward pass O(T^2).
    for t, x_t in enumerate(projected.unbind(0)):
        following = cell(x_t, state)
        if padding is not None:
            is_padding = padding[t].unsqueeze(1)  # (B, 1)
            following = tuple(
                torch.where(is_padding, old, new) for new, old in zip(following, state, strict=True)
            )
        state = following
        hidden.append(state[0])
    return hidden, state


def stack_states(hidden: list[Tensor], state: State, every_step: bool) -> tuple[Tensor, State]:
    """The result of a recurrence: T hidden states (B, H) as one tensor, (T, B, H), or an empty one,
    (0, B, H), unless every_step; and the final state."""
    if not every_step or not hidden:  # a readout may leave no step of a sequence of one step
        return state[0].new_empty(0, *state[0].shape), state
    return torch.stack(hidden), state
