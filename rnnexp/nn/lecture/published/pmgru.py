"""Converter for pmGRU, the lecture's network for load prediction, in DLStudio's layout.

In DLStudio 2.5.8 the three layers are

    project1.0  (H, I + H)  W_f | U_f  over [x_t; h_{t-1}]
    project2.0  (H, I + H)  W_h | U_h  over [x_t; f_t * h_{t-1}]
    project3.0  (1, H)      W_o        over h_T, then tanh
"""

from typing import Any

from torch import Tensor, nn

from rnnexp.nn.cells import MGU
from rnnexp.nn.lecture.pmgru import pmGRU
from rnnexp.nn.lecture.published.layout import (
    Layout,
    cells_of,
    filled,
    join,
    linear,
    refuse_dropout,
    split,
)
from rnnexp.nn.readouts import LastHidden


def load_published(network: Any, state: dict[str, Tensor]) -> None:
    """Load weights from a state_dict of DLStudio's pmGRU.

    The scaling does not change, because DLStudio's state_dict contains none.

    Raises:
        ValueError: the network is not a pmGRU, or the names or shapes in the state_dict differ.
    """
    split(state, _layout(network), "DLStudio's pmGRU")


def to_published(network: Any) -> dict[str, Tensor]:
    """Copy the weights to a state_dict of DLStudio's pmGRU.

    Raises:
        ValueError: the network is not a pmGRU.
    """
    return join(_layout(network))


def literal(network: Any) -> pmGRU:
    """The literal network with the same sizes and weights. Its inputs are scaled windows.

    Raises:
        ValueError: the network is not a pmGRU, or has dropout before its output.
    """
    state = to_published(network)
    refuse_dropout(network.readout, "DLStudio's pmGRU")
    hidden, both = state["project1.0.weight"].shape
    return filled(pmGRU(both - hidden, hidden), state)


def _layout(network: Any) -> Layout:
    """Layout of DLStudio's pmGRU in terms of our weights."""
    levels = network.inputs == ("level",) and network.target == "level"
    match cells_of(network.recurrence), network.readout:
        case [MGU() as cell], LastHidden(
            before=nn.Identity(), activation=nn.Tanh(), linear=out
        ) if levels:
            gate, candidate = cell.input_weight.chunk(2, dim=1)  # (I, H) each
            gate_bias, candidate_bias = cell.bias.chunk(2)
            return (
                linear("project1.0", [gate, cell.U_f], gate_bias)
                | linear("project2.0", [candidate, cell.U_h], candidate_bias)
                | linear("project3.0", [out.weight.t()], out.bias)
            )
    raise ValueError(
        "the network is not DLStudio's pmGRU: it needs inputs ['level'], target 'level', one layer "
        "of MGU, and the readout LastHidden with before=identity and activation=tanh"
    )
