"""The lecture's char RNN for last names, in the layout of its tutorial.

Its two layers are

    c2h  (H, I + H)  W | U  over [x_t; h_{t-1}]
    c2o  (K, I + H)  W_o    over [x_T; h_{T-1}], then log-softmax

The lecture has no tanh around h_t; nor does a state_dict say whether there is one.
"""

from torch import Tensor

from rnnexp.nn.cells import Linear, Vanilla
from rnnexp.nn.lecture.layout import Layout, cells_of, join, linear, split
from rnnexp.nn.readouts import LastInputAndPreviousHidden
from rnnexp.tasks.classification.network import Classifier


def load_published(network: Classifier, state: dict[str, Tensor]) -> None:
    """Take over the weights of a state_dict that the lecture's char RNN saved.

    Raises:
        ValueError: the network has not the form of the char RNN, or another size.
    """
    split(state, _layout(network), "the lecture's char RNN")


def to_published(network: Classifier) -> dict[str, Tensor]:
    """The network's weights as the lecture's char RNN names and lays them out (copies).

    Raises:
        ValueError: the network has not the form of the char RNN.
    """
    return join(_layout(network))


def _layout(network: Classifier) -> Layout:
    """Where our weights stand in the lecture's."""
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
        "only one layer of TEXTnet's cell, of which the class is read from the last input and the "
        "state before it, without a middle layer (model/readout=last_input), has the form of the "
        "lecture's char RNN"
    )
