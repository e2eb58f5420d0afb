"""pmGRU, the lecture's network for load prediction, in the layout that DLStudio stores.

DLStudio 2.5.8 names its three layers

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
    """Load the weights from a state_dict of DLStudio's pmGRU.

    The scaling stays as it is: DLStudio stores none.

    Raises:
        ValueError: the network is not one layer of MGU, or the sizes differ.
    """
    split(state, _layout(network), "DLStudio's pmGRU")


def to_published(network: Any) -> dict[str, Tensor]:
    """The network's weights as a state_dict of DLStudio's pmGRU (copies).

    Raises:
        ValueError: the network is not one layer of MGU.
    """
    return join(_layout(network))


def literal(network: Any) -> pmGRU:
    """The literal network of the same sizes, at the same weights. It reads scaled windows.

    Raises:
        ValueError: the network is not one layer of MGU, or has a dropout before its output.
    """
    state = to_published(network)
    refuse_dropout(network.readout, "DLStudio's pmGRU")
    hidden, both = state["project1.0.weight"].shape
    return filled(pmGRU(both - hidden, hidden), state)


def _layout(network: Any) -> Layout:
    """Where our weights stand in DLStudio's."""
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
        "the network is not DLStudio's pmGRU: that is one layer of MGU over levels, read by "
        "LastHidden through tanh as a level"
    )
