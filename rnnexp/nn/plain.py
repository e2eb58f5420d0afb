"""The plain path: run a cell step by step, with gradients from autograd.

It works for every cell, and is the reference for the other paths.
"""

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.representations import Sequences


def run_plain(cell: Cell, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
    """Run one cell over x. Returns the hidden states (T, B, H), or an empty tensor (0, B, H) unless
    every_step, and the final state."""
    return run_over(cell, cell.project(x), x.padding, every_step)


def run_over(
    cell: Cell, projected: Tensor, padding: Tensor | None, every_step: bool
) -> tuple[Tensor, State]:
    """`run_plain` from the input projections (T, B, projections * H); padding: (T, B)."""
    hidden, state = run_steps(cell, projected, padding, cell.zero_state(projected.shape[1]))
    return stack_states(hidden, state, every_step)


def run_steps(
    cell: Cell, projected: Tensor, padding: Tensor | None, state: State
) -> tuple[list[Tensor], State]:
    """Run one cell from `state`. Returns the T hidden states (B, H) and the final state."""
    hidden = []
    # Unbind once: indexing one step inside the loop would make the backward pass O(T^2).
    for t, x_t in enumerate(projected.unbind(0)):
        following = cell(x_t, state)
        if t == 0:
            _check_state(cell, following, state)
        if padding is not None:
            is_padding = padding[t].unsqueeze(1)  # (B, 1)
            following = tuple(
                torch.where(is_padding, old, new) for new, old in zip(following, state, strict=True)
            )
        state = following
        hidden.append(state[0])
    return hidden, state


def _check_state(cell: Cell, following: State, state: State) -> None:
    """Check what a cell returned at the first step.

    Raises:
        TypeError: it is not a state of the same shapes.
    """
    expected = [tuple(tensor.shape) for tensor in state]
    is_tuple = isinstance(following, tuple)
    found = [tuple(tensor.shape) for tensor in following] if is_tuple else type(following).__name__
    if found != expected:
        raise TypeError(
            f"{type(cell).__name__}.forward returned {found}: it must return a tuple of tensors of "
            f"the shapes {expected}, as many as `states` says"
        )


def stack_states(hidden: list[Tensor], state: State, every_step: bool) -> tuple[Tensor, State]:
    """The result of a recurrence, from T hidden states (B, H) and the final state: one tensor
    (T, B, H), or an empty one (0, B, H) unless every_step, and the final state."""
    if not every_step or not hidden:  # T = 0 if a readout omits the only step of a sequence
        return state[0].new_empty(0, *state[0].shape), state
    return torch.stack(hidden), state
