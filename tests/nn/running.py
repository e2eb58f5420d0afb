"""The cells under test, and helpers that run and compare them."""

from typing import Any

import torch
from torch import Tensor

from rnnexp.nn import cells  # noqa: F401  (defines the cells)
from rnnexp.nn.cell import Cell
from rnnexp.nn.representations import Features

KINDS = [kind for kind in Cell.__subclasses__() if kind.__module__.startswith("rnnexp.nn.")]


def states_of(cell: Cell, x: Tensor) -> list[tuple[Tensor, ...]]:
    """The state after every step; x: (T, B, I)."""
    state, states = cell.zero_state(x.shape[1]), []
    for x_t in cell.project(Features(x)).unbind(0):
        state = cell(x_t, state)
        states.append(state)
    return states


def hidden_of(cell: Cell, x: Tensor) -> Tensor:
    """All hidden states, (T, B, H); x: (T, B, I)."""
    return torch.stack([state[0] for state in states_of(cell, x)])


def copy(values: dict[Any, Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(value)


def close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-12)
