"""The path of torch's own layers, for the cells that have the same equations.

On a GPU they are cuDNN's. On a CPU, `torch.lstm` is one kernel of oneDNN, and the others are made
of small operations.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnexp.nn import cells
from rnnexp.nn.cell import Cell, State
from rnnexp.nn.representations import Features, Sequences

Layer = Callable[..., tuple[Tensor, ...]]
LAYERS: dict[type[Cell], Layer] = {
    cells.Vanilla: torch.rnn_tanh,
    cells.GRU: torch.gru,
    cells.LSTM: torch.lstm,
}


def has_torch_path(cell: Cell, x: Sequences | None = None) -> bool:
    """Whether one of torch's layers computes this cell over x: over features, without padding."""
    suits = x is None or (isinstance(x, Features) and x.padding is None and x.steps > 0)
    return type(cell) in LAYERS and suits


def run_torch(cell: Cell, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
    """Run one cell over x. Returns the hidden states (T, B, H), or an empty tensor (0, B, H) unless
    every_step, and the final state."""
    weights = _weights(cell)
    zero: Any = weights[2].new_zeros(1, x.batch, cell.hidden_size)
    hidden, *final = LAYERS[type(cell)](
        x.dense(),
        (zero, zero) if cell.states > 1 else zero,
        weights,
        True,  # with biases
        1,  # layer
        0.0,  # dropout
        cell.training,  # also keeps what the backward pass needs
        False,  # not bidirectional
        False,  # time is the first axis
    )
    if not every_step:
        hidden = zero.new_empty(0, x.batch, cell.hidden_size)
    return hidden, tuple(state.squeeze(0) for state in final)


def lay_out(cell: Cell) -> None:
    """Lay the recurrent weight of an LSTM out in memory as torch.lstm reads it, (4 H, H), which
    saves a copy at every call. Its values and its shape stay."""
    if type(cell) is cells.LSTM:
        cell.U.data = cell.U.data.t().contiguous().t()


def _weights(cell: Any) -> list[Tensor]:
    """The weights as torch has them: (P H, I) and (P H, H), and the two biases."""
    bias = cell.bias
    recurrent_bias = cell.recurrent_bias if type(cell) is cells.GRU else torch.zeros_like(bias)
    return [cell.input_weight.t(), cell.U.t(), bias, recurrent_bias]
