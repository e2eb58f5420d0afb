"""Recurrences: run a cell over time.

A recurrence maps a representation to all hidden states of its last layer, (T, B, H), and to the
final state of its last layer, a tuple of tensors (B, H). `CellRecurrence` runs the cells of this
package and `TorchRecurrence` the layers of torch; both are called in the same way.
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
    """Base class of all recurrences.

    output_size: size of the hidden states: H, or 2 H in two directions. states: number of tensors
    of the state. path: which code runs it: fused, compiled, plain or torch.
    """

    output_size: int
    states: int
    path: str

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        """All hidden states (T, B, output_size), or none (0, B, output_size) unless every_step, and
        the final state."""
        raise NotImplementedError


class CellRecurrence(Recurrence):
    """A stack of cells of one kind; a layer runs over all steps before the next one starts.

    If the sequences have lengths, a sequence keeps its state after its last step, so the final
    state never depends on padding. With bidirectional=True every layer has a second cell that reads
    each sequence backwards; the states of both directions are concatenated.

    fused, compiled: allow these paths. If possible, the compiled path is taken, else the fused one,
    else the plain one.

    forget_bias: added to the initial bias of the gate that keeps the state, so that the gate starts
    near sigma(forget_bias) instead of 1/2. Cells without such a gate ignore it.
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
                f"compiled=True needs the compiler {compiler}, which is not installed: another "
                "path is taken",
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
        # Under autocast torch chooses the dtype of each product, which only the plain path allows.
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
        if x.steps == 0:  # a readout may leave no step of a sequence of one step
            zero = values.new_zeros(x.batch, self.output_size)
            return zero.new_empty(0, x.batch, self.output_size), (zero,) * self.states
        if x.lengths is None:
            hidden, final = self.layers(values)
        else:
            # A sequence without steps cannot be packed. It runs over one, and its state is zeroed.
            lengths = x.lengths.clamp(min=1).cpu()
            packed = pack_padded_sequence(values, lengths, enforce_sorted=False)
            packed, final = self.layers(packed)
            hidden, _ = pad_packed_sequence(packed, total_length=x.steps)
        state = final if isinstance(final, tuple) else (final,)
        # Only the last layer: (B, H), or (B, 2 H) with both directions concatenated.
        state = tuple(torch.cat(tuple(s[-self.directions :]), dim=-1) for s in state)
        if x.lengths is not None:
            state = tuple(s.masked_fill((x.lengths == 0).unsqueeze(1), 0) for s in state)
        return hidden, state
