"""Converter for TEXTnet and TEXTnetOrder2, the lecture's text networks, in DLStudio's layout.

In DLStudio 2.5.8 the layers of TEXTnet are

    combined_to_hidden  (H, I + H)    W | U      over [x_t; h_{t-1}]
    combined_to_middle  (100, I + H)  W_m        over [x_T; h_{T-1}], then relu
    middle_to_out       (K, 100)      W_o        over the middle layer, then log-softmax

In TEXTnetOrder2 the first two layers have cell_{t-2} as a third input, and there is a layer

    linear_for_cell     (H, H)        W_c        over h_t, then sigma

The classes WithEmbeddings have the same layers. Their state dicts contain no word vectors, so
loading one does not change an embedding table. A state_dict does not record whether there is a tanh
around h_t: DLStudio 2.5.8 has it (Vanilla), the lecture's slide does not (Linear).
"""

import torch
from torch import Tensor, nn

from rnnexp.nn import cells
from rnnexp.nn.cells import Linear, Vanilla
from rnnexp.nn.lecture.published.layout import (
    Layout,
    Network,
    cells_of,
    filled,
    join,
    linear,
    split,
)
from rnnexp.nn.lecture.textnet import TEXTnet
from rnnexp.nn.lecture.textnet_order2 import TEXTnetOrder2
from rnnexp.nn.readouts import LastInputAndPreviousHidden


def load_published(network: Network, state: dict[str, Tensor]) -> None:
    """Load weights from a state_dict of DLStudio's TEXTnet or TEXTnetOrder2.

    Raises:
        ValueError: the network is neither of them, or the names or shapes in the state_dict differ.
    """
    name, layout = _layout(network)
    split(state, layout, f"DLStudio's {name}")


def to_published(network: Network) -> dict[str, Tensor]:
    """Copy the weights to a state_dict of DLStudio's TEXTnet or TEXTnetOrder2.

    Raises:
        ValueError: the network is neither of them.
    """
    _, layout = _layout(network)
    return join(layout)


def literal(network: Network) -> TEXTnet | TEXTnetOrder2:
    """The literal network with the same sizes, dropout and weights.

    Raises:
        ValueError: the network is neither TEXTnet nor TEXTnetOrder2, or its middle layer does not
            have 100 units.
    """
    state, cell = to_published(network), cells_of(network.recurrence)[0]
    if (middle := len(state["combined_to_middle.bias"])) != 100:
        raise ValueError(f"the middle layer has {middle} units, but the lecture's has 100")
    hidden, classes = cell.hidden_size, len(state["middle_to_out.bias"])
    sizes = cell.input_size, hidden, classes, network.readout.dropout.p
    if isinstance(cell, cells.TEXTnetOrder2):
        return filled(TEXTnetOrder2(*sizes, tanh=cell.activation is torch.tanh), state)
    return filled(TEXTnet(*sizes, tanh=isinstance(cell, Vanilla)), state)


def _layout(network: Network) -> tuple[str, Layout]:
    """Name and layout of DLStudio's network, in terms of our weights."""
    match cells_of(network.recurrence), network.readout:
        case (
            [Vanilla() | Linear() as cell],
            LastInputAndPreviousHidden(states=(0,), linear=nn.Linear() as out) as readout,
        ):
            hidden = linear("combined_to_hidden", [cell.input_weight, cell.U], cell.bias)
            return "TEXTnet", hidden | _readout(readout, out)
        case (
            [cells.TEXTnetOrder2() as cell],
            LastInputAndPreviousHidden(states=(0, 2), linear=nn.Linear() as out) as readout,
        ):
            hidden = linear("combined_to_hidden", [cell.input_weight, cell.U, cell.V], cell.bias)
            fed = linear("linear_for_cell", [cell.W_c], cell.b_c)
            return "TEXTnetOrder2", hidden | _readout(readout, out) | fed
    raise ValueError(
        "the network is neither DLStudio's TEXTnet nor its TEXTnetOrder2: it needs one layer of "
        "Vanilla, Linear or TEXTnetOrder2 in one direction, and the readout "
        "LastInputAndPreviousHidden with a middle layer"
    )


def _readout(readout: LastInputAndPreviousHidden, out: nn.Linear) -> Layout:
    weights = [readout.input_weight, readout.state_weight]
    middle = linear("combined_to_middle", weights, readout.bias)
    return middle | linear("middle_to_out", [out.weight.t()], out.bias)
