"""Recurrences: run a cell over time.

A recurrence maps a representation to every hidden state of its last layer, (T, B, H), and to the
final state of its last layer, a tuple of tensors (B, H). Both of the classes here are called the
same way, so that a hand-written cell and a backend of torch are each one word in a config.
"""

import warnings
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.fast.compiled import BLOCK_STEPS, missing_compiler, run_compiled
from rnnexp.nn.fast.fused import has_fused_path, run_fused
from rnnexp.nn.plain import run_plain
from rnnexp.nn.representations import Features, Sequences, reverse


class Recurrence(nn.Module):
    """What every recurrence tells of itself.

    output_size: of the hidden states, H, or 2 H in two directions. states: how many tensors its
    state has. path: which code runs it: fused, compiled, plain or torch.
    """

    output_size: int
    states: int
    path: str

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        """Every hidden state (T, B, output_size), or none of them (0, B, output_size) unless
        every_step, and the final state."""
        raise NotImplementedError


class CellRecurrence(Recurrence):
    """A stack of cells of one kind, each run over all steps before the next.

    Where the sequences have lengths, the state of a sequence stays as it is after its last step,
    so the final state never depends on padding. With bidirectional=True every layer has a second
    cell that reads each sequence backwards; hidden states and final states stand side by side.

    fused, compiled: which paths may be taken where they can be, compiled before fused; else plain.

    forget_bias: added to the initial bias of the gate that keeps the state, so that it begins near
    sigma(forget_bias) and not near 1/2; a cell without such a gate stays as it is.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        fused: bool = True,
        forget_bias: float = 0.0,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.fused, self.compiled = fused, compiled
        if compiled and (compiler := missing_compiler()):
            warnings.warn(
                f"model.recurrence.compiled=true needs the compiler {compiler}, which is not here: "
                "another path is taken",
                stacklevel=2,
            )
            self.compiled = False
        self.output_size = 2 * hidden_size if bidirectional else hidden_size
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.backward_layers = nn.ModuleList(
            cell(size, hidden_size) for size in (sizes if bidirectional else [])
        )
        for own in [*self.layers, *self.backward_layers]:
            cast(Cell, own).remember(forget_bias)
        first = cast(Cell, self.layers[0])
        self.states, self.path = first.states, self._path_of(first)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        last = len(self.layers) - 1
        for number in range(last):
            hidden, _ = self._layer(number, x, every_step=True)
            x = Features(self.dropout(hidden), x.lengths)
        return self._layer(last, x, every_step)

    def _layer(self, number: int, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
        hidden, state = self._run(self.layers[number], x, every_step)
        if not self.backward_layers:
            return hidden, state
        backward, first = self._run(self.backward_layers[number], x.reversed(), every_step)
        state = tuple(torch.cat(pair, dim=-1) for pair in zip(state, first, strict=True))
        if every_step:
            backward = reverse(backward, x.lengths)
        return torch.cat([hidden, backward], dim=-1), state

    def _run(self, cell: nn.Module, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
        cell = cast(Cell, cell)
        # Autocast chooses the type of each product by itself, which is for the plain path.
        autocast = torch.is_autocast_enabled(cell.bias.device.type)
        self.path = self._path_of(cell, may_compile=x.steps >= BLOCK_STEPS, may_fuse=not autocast)
        return RUN[self.path](cell, x, every_step)

    def _path_of(self, cell: Cell, may_compile: bool = True, may_fuse: bool = True) -> str:
        if self.compiled and may_compile:
            return "compiled"
        return "fused" if self.fused and may_fuse and has_fused_path(cell) else "plain"


RUN = {"fused": run_fused, "compiled": run_compiled, "plain": run_plain}


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
        self.states, self.path = 2 if isinstance(self.layers, nn.LSTM) else 1, "torch"

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
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
