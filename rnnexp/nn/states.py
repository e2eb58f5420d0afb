"""What one layer of a recurrence does step after step: its hidden states and its gates.

The equations of a cell stand in its `forward` alone. Its gates are the outputs of the sigmoids
there, which are recorded while the cell runs over the steps on the plain path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnexp.nn.cell import Cell
from rnnexp.nn.cells import GRU, LSTM, Vanilla
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import CellRecurrence, Recurrence, TorchRecurrence
from rnnexp.nn.representations import Sequences, reverse

SIGMOIDS = {torch.sigmoid, torch.special.expit, Tensor.sigmoid}
EQUATIONS: dict[type[nn.RNNBase], type[GRU | LSTM | Vanilla]] = {
    nn.GRU: GRU,
    nn.LSTM: LSTM,
    nn.RNN: Vanilla,
}


@dataclass(frozen=True)
class LayerStates:
    """One direction of a layer, for one sequence of T steps, in the order of the sequence.

    direction: forward or backward. hidden: (T, H). gates: name -> (T, H), between 0 and 1; empty if
    the cell has none.
    """

    direction: str
    hidden: Tensor
    gates: dict[str, Tensor]


@torch.no_grad()
def layer_states(recurrence: Recurrence, x: Sequences, layer: int) -> list[LayerStates]:
    """Hidden states and gates of a layer, counted from 0, in each of its directions.

    x: one sequence, the inputs of the first layer.

    Raises:
        ValueError: the recurrence has other equations than those of a cell of this package.
    """
    cells = as_cells(recurrence)
    x = cells.inputs_of(layer, x)
    found = [_states(cast(Cell, cells.layers[layer]), x, "forward")]
    if cells.backward_layers:
        backward = _states(cast(Cell, cells.backward_layers[layer]), x.reversed(), "backward")
        gates = {name: reverse(gate, None) for name, gate in backward.gates.items()}
        found.append(LayerStates("backward", reverse(backward.hidden, None), gates))
    return found


def layers_of(recurrence: Recurrence) -> int:
    """The number of layers."""
    layers = cast(Any, recurrence.layers)
    return layers.num_layers if isinstance(recurrence, TorchRecurrence) else len(layers)


class _Sigmoids(TorchFunctionMode):
    """Records the output of every sigmoid, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in SIGMOIDS:
            self.outputs.append(output)
        return output


def _states(cell: Cell, x: Sequences, direction: str) -> LayerStates:
    with _Sigmoids() as recorded:
        hidden, _ = run_plain(cell, x)
    calls = len(recorded.outputs) // x.steps  # at each step; one call may give several gates
    gates = [
        gate
        for call in range(calls)
        for gate in _of_all_steps(recorded.outputs[call::calls], cell.hidden_size)
    ]
    names = cell.gates
    if len(names) != len(gates):  # a cell from outside that does not say how they are called
        names = tuple(f"sigmoid {number}" for number in range(1, len(gates) + 1))
    return LayerStates(direction, hidden.squeeze(1), dict(zip(names, gates, strict=True)))


def _of_all_steps(outputs: list[Tensor], size: int) -> list[Tensor]:
    """The gates, (T, H) each, in the outputs of one sigmoid at all steps, (1, n H) or (n H,)."""
    steps = torch.stack([output.reshape(-1) for output in outputs])
    return list(steps.split(size, dim=1)) if steps.shape[1] % size == 0 else []


def as_cells(recurrence: Recurrence) -> CellRecurrence:
    """The recurrence as one of cells: itself, or a copy of one of torch's layers whose cells have
    the same equations and weights.

    Raises:
        ValueError: there is no cell with these equations.
    """
    if isinstance(recurrence, CellRecurrence):
        return recurrence
    layers = getattr(recurrence, "layers", None)
    kind = EQUATIONS.get(type(layers)) if isinstance(layers, nn.RNNBase) else None
    if not isinstance(layers, nn.RNNBase) or kind is None or not _is_plain(layers):
        raise ValueError(f"{layers or type(recurrence).__name__} has no cell with its equations")
    with torch.random.fork_rng():  # initialisation must not advance the caller's stream
        cells = CellRecurrence(
            kind,
            layers.input_size,
            layers.hidden_size,
            layers.num_layers,
            bidirectional=layers.bidirectional,
        ).to(next(layers.parameters()).dtype)
    for suffix, own in {"": cells.layers, "_reverse": cells.backward_layers}.items():
        for number, cell in enumerate(own):
            _copy(layers, f"l{number}{suffix}", cast(GRU | LSTM | Vanilla, cell))
    return cells.eval()


def _is_plain(layers: nn.RNNBase) -> bool:
    usual = getattr(layers, "nonlinearity", "tanh") == "tanh"
    return usual and bool(layers.bias) and not layers.proj_size


@torch.no_grad()
def _copy(layers: nn.RNNBase, name: str, cell: GRU | LSTM | Vanilla) -> None:
    """Copy the weights of one layer and direction of torch's into a cell."""
    bias, recurrent_bias = getattr(layers, f"bias_ih_{name}"), getattr(layers, f"bias_hh_{name}")
    cell.input_weight.copy_(getattr(layers, f"weight_ih_{name}").t())
    cell.U.copy_(getattr(layers, f"weight_hh_{name}").t())
    if isinstance(cell, GRU):
        cell.bias.copy_(bias)
        cell.recurrent_bias.copy_(recurrent_bias)
    else:
        cell.bias.copy_(bias + recurrent_bias)
