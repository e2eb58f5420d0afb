"""TEXTnet and TEXTnetOrder2, the lecture's text networks, in the layout that DLStudio stores.

DLStudio 2.5.8 names TEXTnet's layers

    combined_to_hidden  (H, I + H)    W | U      over [x_t; h_{t-1}]
    combined_to_middle  (100, I + H)  W_m        over [x_T; h_{T-1}], then relu
    middle_to_out       (K, 100)      W_o        over the middle layer, then log-softmax

In TEXTnetOrder2 the first two read the cell that is fed as a third part, and there is

    linear_for_cell     (H, H)        W_c        over h_t, then sigma

The twins WithEmbeddings have the same layers. They are fed with word vectors and store none, so a
word table has no place there and stays as it is. Nor does a state_dict say whether a tanh stands
around h_t: DLStudio 2.5.8 has it (model=textnet), the lecture's slide has not.
"""

from torch import Tensor, nn

from rnnexp.nn.cells import Linear, TEXTnetOrder2, Vanilla
from rnnexp.nn.lecture.layout import Layout, cells_of, join, linear, split
from rnnexp.nn.readouts import LastInputAndPreviousHidden
from rnnexp.tasks.classification.network import Classifier


def load_published(network: Classifier, state: dict[str, Tensor]) -> None:
    """Take over the weights of a state_dict that DLStudio's TEXTnet or TEXTnetOrder2 saved.

    Raises:
        ValueError: the network has another form than the one that was saved, or another size.
    """
    name, layout = _layout(network)
    split(state, layout, f"DLStudio's {name}")


def to_published(network: Classifier) -> dict[str, Tensor]:
    """The network's weights as DLStudio names and lays them out (copies).

    Raises:
        ValueError: the network has the form of neither.
    """
    _, layout = _layout(network)
    return join(layout)


def _layout(network: Classifier) -> tuple[str, Layout]:
    """Which of the two networks it is, and where our weights stand in it."""
    match cells_of(network.recurrence), network.readout:
        case (
            [Vanilla() | Linear() as cell],
            LastInputAndPreviousHidden(states=(0,), linear=nn.Linear() as out) as readout,
        ):
            hidden = linear("combined_to_hidden", [cell.input_weight, cell.U], cell.bias)
            return "TEXTnet", hidden | _readout(readout, out)
        case (
            [TEXTnetOrder2() as cell],
            LastInputAndPreviousHidden(states=(0, 2), linear=nn.Linear() as out) as readout,
        ):
            hidden = linear("combined_to_hidden", [cell.input_weight, cell.U, cell.V], cell.bias)
            fed = linear("linear_for_cell", [cell.W_c], cell.b_c)
            return "TEXTnetOrder2", hidden | _readout(readout, out) | fed
    raise ValueError(
        "only one layer of TEXTnet's or TEXTnetOrder2's cell, read through a middle layer from "
        "the last input and the state before it (model=textnet, model=textnet_order2), has the "
        "form of a network of DLStudio"
    )


def _readout(readout: LastInputAndPreviousHidden, out: nn.Linear) -> Layout:
    weights = [readout.input_weight, readout.state_weight]
    middle = linear("combined_to_middle", weights, readout.bias)
    return middle | linear("middle_to_out", [out.weight.t()], out.bias)
