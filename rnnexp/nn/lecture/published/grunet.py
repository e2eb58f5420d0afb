"""Converter for GRUnet, the lecture's stack of gated recurrent units, in DLStudio's layout.

In DLStudio 2.5.8 the layers are `gru`, a torch.nn.GRU, and `fc` over relu(h_T), then log-softmax.
GRUnetWithEmbeddings has the same layers. Its state_dict contains no word vectors, so loading it
does not change an embedding table.
"""

from torch import Tensor, nn

from rnnexp.nn.cells import GRU
from rnnexp.nn.lecture.grunet import GRUnet
from rnnexp.nn.lecture.published.layout import (
    Layout,
    Network,
    cells_of,
    filled,
    join,
    linear,
    refuse_dropout,
    split,
)
from rnnexp.nn.readouts import LastHidden


def load_published(network: Network, state: dict[str, Tensor]) -> None:
    """Load weights from a state_dict of DLStudio's GRUnet.

    Raises:
        ValueError: the network is not a GRUnet, or the names or shapes in the state_dict differ.
    """
    split(state, _layout(network), "DLStudio's GRUnet")


def to_published(network: Network) -> dict[str, Tensor]:
    """Copy the weights to a state_dict of DLStudio's GRUnet.

    Raises:
        ValueError: the network is not a GRUnet.
    """
    return join(_layout(network))


def literal(network: Network) -> GRUnet:
    """The literal network with the same sizes, dropout and weights.

    Raises:
        ValueError: the network is not a GRUnet, or has dropout before its output.
    """
    state = to_published(network)
    refuse_dropout(network.readout, "DLStudio's GRUnet")
    recurrence, (classes, hidden) = network.recurrence, state["fc.weight"].shape
    inputs, layers = state["gru.weight_ih_l0"].shape[1], len(recurrence.layers)
    return filled(GRUnet(inputs, hidden, classes, layers, recurrence.dropout.p), state)


def _layout(network: Network) -> Layout:
    """Layout of DLStudio's GRUnet in terms of our weights."""
    cells = [cell for cell in cells_of(network.recurrence) if isinstance(cell, GRU)]
    match cells, network.readout:
        case [_, *_], LastHidden(before=nn.ReLU(), activation=nn.Identity(), linear=out):
            layout: Layout = {}
            for number, cell in enumerate(cells):
                layout |= {
                    f"gru.weight_ih_l{number}": [cell.input_weight.detach().t()],
                    f"gru.weight_hh_l{number}": [cell.U.detach().t()],
                    f"gru.bias_ih_l{number}": [cell.bias.detach()],
                    f"gru.bias_hh_l{number}": [cell.recurrent_bias.detach()],
                }
            return layout | linear("fc", [out.weight.t()], out.bias)
    raise ValueError(
        "the network is not DLStudio's GRUnet: it needs a stack of GRU cells in one direction, and "
        "the readout LastHidden with before=relu and activation=identity"
    )
