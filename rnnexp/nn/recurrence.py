"""Recurrences: run a cell over time.

A recurrence maps a representation to every hidden state of its last layer, (T, B, H), and to the
final state of its last layer, a tuple of tensors (B, H). Both of the classes here are called the
same way, so that a hand-written cell and a backend of torch are each one word in a config.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnexp.nn.cells import Cell, State
from rnnexp.nn.representations import Features


class CellRecurrence(nn.Module):
    """A stack of cells of one kind, each run over all steps before the next.

    Where the sequences have lengths, the state of a sequence stays as it is after its last step,
    so the final state never depends on padding.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Features) -> tuple[Tensor, State]:
        first, *others = cast(list[Cell], list(self.layers))
        hidden, state = run(first, x)
        for cell in others:
            hidden, state = run(cell, Features(self.dropout(hidden), x.lengths))
        return hidden, state


def run(cell: Cell, x: Features) -> tuple[Tensor, State]:
    """Run one cell over x: every hidden state (T, B, H), and the final state."""
    # Unbound once: indexing one step inside the loop would make the backward pass O(T^2).
    projected = x.project(cell.input_weight, cell.bias).unbind(0)
    state = cell.zero_state(x.batch)
    hidden = []
    for t, x_t in enumerate(projected):
        following = cell(x_t, state)
        if x.lengths is not None:
            going_on = (t < x.lengths).unsqueeze(1)
            following = tuple(
                torch.where(going_on, new, old) for new, old in zip(following, state, strict=True)
            )
        state = following
        hidden.append(state[0])
    return torch.stack(hidden), state


class TorchRecurrence(nn.Module):
    """torch.nn.GRU or torch.nn.LSTM behind the same call (cuDNN on a GPU)."""

    def __init__(
        self,
        backend: Callable[..., nn.RNNBase],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.layers = backend(
            input_size, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0
        )

    def forward(self, x: Features) -> tuple[Tensor, State]:
        if x.lengths is None:
            hidden, final = self.layers(x.dense())
        else:
            packed = pack_padded_sequence(x.dense(), x.lengths.cpu(), enforce_sorted=False)
            packed, final = self.layers(packed)
            hidden, _ = pad_packed_sequence(packed, total_length=x.steps)
        state = final if isinstance(final, tuple) else (final,)
        return hidden, tuple(layers[-1] for layers in state)
