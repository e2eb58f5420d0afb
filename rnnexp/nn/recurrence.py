"""Recurrences: run a cell over time.

A recurrence maps a representation to every hidden state of its last layer, (T, B, H), and to the
final state of its last layer, a tuple of tensors (B, H). Both of the classes here are called the
same way, so that a hand-written cell and a backend of torch are each one word in a config.
"""

import torch
from torch import Tensor, nn

from rnnexp.nn.cells import Cell, State
from rnnexp.nn.representations import Features


class CellRecurrence(nn.Module):
    """A stack of cells of one kind, each run over all steps before the next.

    Where the sequences have lengths, the state of a sequence stays as it is after its last step,
    so the final state never depends on padding.
    """

    def __init__(
        self,
        cell: type[Cell],
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
        for number, cell in enumerate(self.layers):
            if number > 0:
                x = Features(self.dropout(hidden), x.lengths)
            hidden, state = run(cell, x)
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
            following = tuple(torch.where(going_on, new, old) for new, old in zip(following, state, strict=True))
        state = following
        hidden.append(state[0])
    return torch.stack(hidden), state


class TorchRecurrence(nn.Module):
    """torch.nn.GRU or torch.nn.LSTM behind the same call (cuDNN on a GPU)."""

    def __init__(
        self,
        backend: type[nn.RNNBase],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.layers = backend(input_size, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0)

    def forward(self, x: Features) -> tuple[Tensor, State]:
        inputs = x.dense()
        if x.lengths is not None:
            inputs = nn.utils.rnn.pack_padded_sequence(inputs, x.lengths.cpu(), enforce_sorted=False)
        hidden, final = self.layers(inputs)
        if x.lengths is not None:
            hidden, _ = nn.utils.rnn.pad_packed_sequence(hidden, total_length=x.steps)
        final = final if isinstance(final, tuple) else (final,)
        return hidden, tuple(part[-1] for part in final)
