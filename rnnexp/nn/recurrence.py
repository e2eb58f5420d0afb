"""Recurrences: run a cell over time.

A recurrence maps a representation to the hidden states (T, B, H) and the final state of its last
layer; a state is a tuple of tensors (B, H). `CellRecurrence` runs the cells of this package,
`TorchRecurrence` runs torch's layers. Both have the same interface.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.fast import choices
from rnnexp.nn.fast.compiled import BLOCK_STEPS, missing_compiler, run_compiled
from rnnexp.nn.fast.fused import has_fused_path, run_fused
from rnnexp.nn.fast.graphed import forget, has_graphed_path, run_graphed
from rnnexp.nn.fast.native.build import why_not
from rnnexp.nn.fast.native.loop import run_native
from rnnexp.nn.fast.torch_layers import has_torch_path, lay_out, run_torch
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.plain import run_plain
from rnnexp.nn.representations import Features, Sequences, reverse

MOST_LAYERS = 1000  # of a network; each is an object of its own, whatever its size
PathName = Literal["auto", "fused", "native", "plain", "compiled", "torch", "graphed", "by_size"]
BY_SIZE = ("auto", "by_size")


class Recurrence(nn.Module):
    """Base class of all recurrences.

    output_size: size of a hidden state: H, or 2 H with two directions. states: number of tensors in
    the state. path: implementation in use: fused, native, compiled, plain, torch or graphed. used:
    all that have run so far.
    """

    output_size: int
    states: int
    path: str
    used: set[str]

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        """The hidden states (T, B, output_size), or an empty tensor (0, B, output_size) unless
        every_step, and the final state."""
        raise NotImplementedError


class CellRecurrence(Recurrence):
    """A stack of layers with one class of cells. A layer processes all steps before the next layer
    starts.

    Padding leaves the state of a sequence unchanged, so the final state does not depend on it. With
    bidirectional=True every layer has a second cell that reads each sequence backwards; the states
    of both directions are concatenated.

    cell: a function (input_size, hidden_size) -> Cell. dropout: probability of zeroing an entry of
    a hidden state between two layers in training. path: which implementation runs the steps.
    by_size: torch's layer for small steps and the plain path for short sequences, in float32 on
    a CPU, as `tuning` says, and the fused path for the others; auto is the same. Where a path
    cannot run a cell or its inputs, the next one does, in the order torch, native or compiled,
    fused, plain; all of them compute the same, up to the order of summation. native: the fused
    path with its steps in C++, compiled on first use.
    graphed: the plain path as CUDA graphs, and as it is without a GPU, with padding or under
    autocast. tuning: the fields of `Tuning`; auto: those that were measured for the instruction set
    of this processor.

    forget_bias: added to the initial bias of the memory gate (subtracted if the gate weights the
    candidate), so that a step keeps about sigma(forget_bias) of the state at first, not 1/2. Cells
    without such a gate ignore it.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        path: PathName = "auto",
        tuning: Literal["auto"] | Mapping[str, int | None] = "auto",
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__()
        if path not in get_args(PathName):
            raise ValueError(f"path is {path!r}: it must be one of {', '.join(get_args(PathName))}")
        if path == "compiled" and (compiler := missing_compiler()):
            warnings.warn(
                f"path=compiled needs the compiler {compiler}, which is not installed: the fused "
                "or the plain path is used",
                stacklevel=2,
            )
            path = "fused"
        if path == "native" and (fault := why_not()):
            warnings.warn(f"path=native: {fault}; the fused path is used", stacklevel=2)
            path = "fused"
        self.asked: PathName = path
        self.output_size = 2 * hidden_size if bidirectional else hidden_size
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.backward_layers = nn.ModuleList(
            cell(size, hidden_size) for size in (sizes if bidirectional else [])
        )
        for own in [*self.layers, *self.backward_layers]:
            if not isinstance(own, Cell):
                raise TypeError(f"{type(own).__name__} is not a cell (rnnexp.nn.cells.Cell)")
            own.add_forget_bias(forget_bias)
            if path in BY_SIZE:  # not where earlier runs are repeated: sums depend on the layout
                lay_out(own)
        first = cast(Cell, self.layers[0])
        if tuning == "auto":
            self.tuning = choices.tuning_of(type(first).__name__)
        else:
            self.tuning = Tuning.of(tuning)
        self.states, self.path = first.states, self._path_of(first)
        self.used = set[str]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        last = len(self.layers) - 1
        return self._layer(last, self.inputs_of(last, x), every_step)

    def inputs_of(self, layer: int, x: Sequences) -> Sequences:
        """The inputs of a layer, counted from 0: x, or the hidden states of the layer below."""
        for number in range(layer):
            hidden, _ = self._layer(number, x, every_step=True)
            x = Features(self.dropout(hidden), x.lengths)
        return x

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        """What torch calls to move or convert the parameters: graphs know their old addresses."""
        for cell in (*self.layers, *self.backward_layers):
            forget(cast(Cell, cell))
        return super()._apply(*args, **kwargs)

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
        path = self._path_of(cell, x)
        if path != self.path:
            self.path = path
        self.used.add(path)
        if path == "fused":
            return run_fused(cell, x, every_step, self.tuning)
        if path == "native":
            return run_native(cell, x, every_step, self.tuning)
        return RUN[path](cell, x, every_step)

    def _path_of(self, cell: Cell, x: Sequences | None = None) -> str:
        """The path that runs a cell over x; None: over any x that suits it."""
        asked, weights = self.asked, cell.bias
        if asked == "compiled" and (x is None or x.steps >= BLOCK_STEPS):
            return "compiled"
        if asked == "torch" and has_torch_path(cell, x):
            return "torch"
        # Under autocast, torch chooses the dtype of each product. The fused path does not, and a
        # graph would keep that of its capture.
        if asked == "plain" or (x is not None and torch.is_autocast_enabled(weights.device.type)):
            return "plain"
        if asked == "graphed":
            return "graphed" if has_graphed_path(cell, x) else "plain"
        if asked in BY_SIZE and x is not None and (path := self._path_by_size(cell, x)):
            return path
        if not has_fused_path(cell):
            return "plain"
        return "native" if asked == "native" and weights.device.type == "cpu" else "fused"

    def _path_by_size(self, cell: Cell, x: Sequences) -> str | None:
        """The path that was measured to be faster than the fused one, if there is one."""
        if cell.bias.dtype != torch.float32 or cell.bias.is_cuda:  # not measured
            return None
        size, training = (x.batch, cell.hidden_size), torch.is_grad_enabled()
        if has_torch_path(cell, x) and self.tuning.takes_torch(*size, training):
            return "torch"
        return "plain" if self.tuning.takes_plain(x.steps, *size, training) else None


RUN = {
    "compiled": run_compiled,
    "torch": run_torch,
    "graphed": run_graphed,
    "plain": run_plain,
}


class TorchRecurrence(Recurrence):
    """torch.nn.GRU or torch.nn.LSTM as a recurrence (cuDNN on a GPU).

    backend: the class of the layers. dropout: between the layers; ignored for a single layer.
    """

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
        self.used = {"torch"}

    def forward(self, x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        values = x.dense()
        if x.steps == 0:  # a readout may omit the only step of a sequence
            zero = values.new_zeros(x.batch, self.output_size)
            return zero.new_empty(0, x.batch, self.output_size), (zero,) * self.states
        if x.lengths is None:
            hidden, final = self.layers(values)
        else:
            # torch cannot pack an empty sequence: it gets one step, and its state is zeroed below.
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
