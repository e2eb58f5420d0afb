"""Converter for the lecture's char RNN for last names, in the layout of the PyTorch tutorial.

The two layers are

    c2h  (H, I + H)  W | U  over [x_t; h_{t-1}]
    c2o  (K, I + H)  W_o    over [x_T; h_{T-1}], then log-softmax

The lecture has no tanh around h_t. A state_dict does not record whether there is one.
"""

from torch import Tensor

from rnnexp.nn.cells import Linear, Vanilla
from rnnexp.nn.lecture.char_rnn import CharRNN
from rnnexp.nn.lecture.published.layout import (
    Layout,
    Network,
    cells_of,
    filled,
    join,
    linear,
    split,
)
from rnnexp.nn.readouts import LastInputAndPreviousHidden


def load_published(network: Network, state: dict[str, Tensor]) -> None:
    """Load weights from a state_dict of the lecture's char RNN.

    Raises:
        ValueError: the network is not a char RNN, or the names or shapes in the state_dict differ.
    """
    split(state, _layout(network), "the lecture's char RNN")


def to_published(network: Network) -> dict[str, Tensor]:
    """Copy the weights to a state_dict of the lecture's char RNN.

    Raises:
        ValueError: the network is not a char RNN.
    """
    return join(_layout(network))


def literal(network: Network) -> CharRNN:
    """The literal network with the same sizes and weights.

    Raises:
        ValueError: the network is not a char RNN, or has a tanh around h_t.
    """
    state = to_published(network)
    if not isinstance(cells_of(network.recurrence)[0], Linear):
        raise ValueError("the lecture's char RNN has no tanh around h_t: use the cell Linear")
    classes, hidden = len(state["c2o.bias"]), len(state["c2h.bias"])
    return filled(CharRNN(state["c2h.weight"].shape[1] - hidden, hidden, classes), state)


def _layout(network: Network) -> Layout:
    """Layout of the lecture's char RNN in terms of our weights."""
    match cells_of(network.recurrence), network.readout:
        case (
            [Linear() | Vanilla() as cell],
            LastInputAndPreviousHidden(states=(0,), linear=None) as readout,
        ):
            read = [readout.input_weight, readout.state_weight]
            return linear("c2h", [cell.input_weight, cell.U], cell.bias) | linear(
                "c2o", read, readout.bias
            )
    raise ValueError(
        "the network is not the lecture's char RNN: it needs one layer of Linear or Vanilla in one "
        "direction, and the readout LastInputAndPreviousHidden without a middle layer"
    )
