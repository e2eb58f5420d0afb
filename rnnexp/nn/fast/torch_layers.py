"""The path of torch's own layers, for the cells that have the same equations.

On a GPU they are cuDNN's. On a CPU, `torch.lstm` is one kernel of oneDNN, and the others are made
of small operations.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rnnexp.nn import cells
from rnnexp.nn.cell import Cell, State
from rnnexp.nn.representations import Features, Sequences

Layer = Callable[..., tuple[Tensor, ...]]
FEW_FEATURES = 16
LSTM_MODE = 2  # of torch.mkldnn_rnn_layer
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
    weights, size = _weights(cell), (x.batch, cell.hidden_size)
    zero = _zeros(size, cell.bias.dtype, cell.bias.device)
    if _is_for_onednn(cell, x):
        hidden, *final = _onednn_lstm(x.dense(), weights, zero, cell.training)
    else:
        initial: Any = (zero[None], zero[None]) if cell.states > 1 else zero[None]
        hidden, *states = LAYERS[type(cell)](
            x.dense(),
            initial,
            weights,
            True,  # with biases
            1,  # layer
            0.0,  # dropout
            cell.training,  # also keeps what the backward pass needs
            False,  # not bidirectional
            False,  # time is the first axis
        )
        final = [state.squeeze(0) for state in states]
    if not every_step:
        hidden = zero.new_empty(0, *size)
    return hidden, tuple(final)


def _is_for_onednn(cell: Cell, x: Sequences) -> bool:
    """Whether torch.lstm would call oneDNN's kernel."""
    onednn: Any = torch.backends.mkldnn
    is_float = cell.bias.dtype == x.values.dtype == torch.float32 and not cell.bias.is_cuda
    is_lstm = type(cell) is cells.LSTM and is_float and x.values.numel() > 0
    return is_lstm and onednn.is_available() and bool(onednn.enabled)


def _onednn_lstm(
    inputs: Tensor, weights: list[Tensor], zero: Tensor, training: bool
) -> tuple[Tensor, ...]:
    """What torch.lstm calls, without its copies of the results; inputs: (T, B, I), zero: (B, H).
    Returns the hidden states (T, B, H) and the final h and c (B, H)."""
    input_weight, recurrent_weight, bias, recurrent_bias = weights
    hidden, h, c, _ = torch.mkldnn_rnn_layer(
        inputs.contiguous(),  # the kernel knows no strides
        input_weight,
        recurrent_weight,
        bias,
        recurrent_bias,
        zero,
        zero,
        False,  # not backwards in time
        [],  # no packed batches
        LSTM_MODE,
        zero.shape[1],
        1,  # layer
        True,  # with biases
        False,  # not bidirectional
        False,  # time is the first axis
        training,  # also keeps what the backward pass needs
    )
    return hidden, h, c


def lay_out(cell: Cell) -> None:
    """Lay the weights of an LSTM out in memory as torch.lstm reads them, (4 H, H) and (4 H, I),
    which saves copies at every call. Their values and shapes stay. The input weight is laid out for
    a few features alone: words are looked up in its rows."""
    if type(cell) is cells.LSTM:
        few = cell.input_size <= FEW_FEATURES
        for weight in [cell.U, cell.input_weight] if few else [cell.U]:
            weight.data = weight.data.t().contiguous().t()


def _weights(cell: Any) -> list[Tensor]:
    """The weights as torch has them: (P H, I) and (P H, H), and the two biases."""
    bias = cell.bias
    if type(cell) is cells.GRU:
        recurrent_bias: Tensor = cell.recurrent_bias
    else:
        recurrent_bias = _zeros(tuple(bias.shape), bias.dtype, bias.device)
    return [cell.input_weight.t(), cell.U.t(), bias, recurrent_bias]


@lru_cache(maxsize=8)
def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros that are only read. They are kept between calls, since a small step takes little longer
    than a call."""
    with torch.inference_mode(False):
        return torch.zeros(shape, dtype=dtype, device=device)
