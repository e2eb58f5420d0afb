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
from rnnexp.nn.representations import Features, Sequences, reverse


class Recurrence(nn.Module):
    """What every recurrence tells of itself.

    output_size: of the hidden states, H, or 2 H in two directions. states: how many tensors its
    state has.
    """

    output_size: int
    states: int

    def forward(self, x: Sequences) -> tuple[Tensor, State]:
        """Every hidden state (T, B, output_size), and the final state."""
        raise NotImplementedError


class CellRecurrence(Recurrence):
    """A stack of cells of one kind, each run over all steps before the next.

    Where the sequences have lengths, the state of a sequence stays as it is after its last step,
    so the final state never depends on padding. With bidirectional=True every layer has a second
    cell that reads each sequence backwards; hidden states and final states stand side by side.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = 2 * hidden_size if bidirectional else hidden_size
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.backward_layers = nn.ModuleList(
            cell(size, hidden_size) for size in (sizes if bidirectional else [])
        )
        self.states = cast(Cell, self.layers[0]).states
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> tuple[Tensor, State]:
        hidden, state = self._layer(0, x)
        for number in range(1, len(self.layers)):
            hidden, state = self._layer(number, Features(self.dropout(hidden), x.lengths))
        return hidden, state

    def _layer(self, number: int, x: Sequences) -> tuple[Tensor, State]:
        hidden, state = run(cast(Cell, self.layers[number]), x)
        if not self.backward_layers:
            return hidden, state
        backward, first = run(cast(Cell, self.backward_layers[number]), x.reversed())
        both = torch.cat([hidden, reverse(backward, x.lengths)], dim=-1)
        return both, tuple(torch.cat(pair, dim=-1) for pair in zip(state, first, strict=True))


def run(cell: Cell, x: Sequences) -> tuple[Tensor, State]:
    """Run one cell over x: every hidden state (T, B, H), and the final state."""
    # Unbound once: indexing one step inside the loop would make the backward pass O(T^2).
    projected = x.project(cell.input_weight, cell.bias).unbind(0)
    state, padding = cell.zero_state(x.batch), x.padding
    hidden = []
    for t, x_t in enumerate(projected):
        following = cell(x_t, state)
        if padding is not None:
            ended = padding[t].unsqueeze(1)  # (B, 1)
            following = tuple(
                torch.where(ended, old, new) for new, old in zip(following, state, strict=True)
            )
        state = following
        hidden.append(state[0])
    if not hidden:  # a readout may leave a sequence of one step none
        return state[0].new_empty(0, x.batch, cell.hidden_size), state
    return torch.stack(hidden), state


class TorchRecurrence(Recurrence):
    """torch.nn.GRU or torch.nn.LSTM behind the same call (cuDNN on a GPU)."""

    def __init__(
        self,
        backend: Callable[..., nn.RNNBase],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = 2 * hidden_size if bidirectional else hidden_size
        self.directions = 2 if bidirectional else 1
        self.layers = backend(
            input_size,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
        )
        self.states = 2 if isinstance(self.layers, nn.LSTM) else 1

    def forward(self, x: Sequences) -> tuple[Tensor, State]:
        values = x.dense()
        if x.steps == 0:  # a readout may leave a sequence of one step none
            zero = values.new_zeros(x.batch, self.output_size)
            return zero.new_empty(0, x.batch, self.output_size), (zero,) * self.states
        if x.lengths is None:
            hidden, final = self.layers(values)
        else:
            # A sequence without a step cannot be packed: it runs over one, and its state is zeroed.
            lengths = x.lengths.clamp(min=1).cpu()
            packed = pack_padded_sequence(values, lengths, enforce_sorted=False)
            packed, final = self.layers(packed)
            hidden, _ = pad_packed_sequence(packed, total_length=x.steps)
        state = final if isinstance(final, tuple) else (final,)
        # The last layer's: (B, H), or of both directions side by side.
        state = tuple(torch.cat(tuple(s[-self.directions :]), dim=-1) for s in state)
        if x.lengths is not None:
            state = tuple(s.masked_fill((x.lengths == 0).unsqueeze(1), 0) for s in state)
        return hidden, state
