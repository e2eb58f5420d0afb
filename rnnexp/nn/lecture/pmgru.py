"""pmGRU, the lecture's network for load prediction, in the layout that DLStudio stores.

DLStudio 2.5.8 names its three layers

    project1.0  (H, I + H)  W_f | U_f  over [x_t; h_{t-1}]
    project2.0  (H, I + H)  W_h | U_h  over [x_t; f_t * h_{t-1}]
    project3.0  (1, H)      W_o        over h_T, then tanh
"""

from torch import Tensor, nn

from rnnexp.nn.cells import MGU
from rnnexp.nn.lecture.layout import Layout, cells_of, join, linear, split
from rnnexp.nn.readouts import LastHidden
from rnnexp.tasks.forecasting.network import Forecaster


def load_published(network: Forecaster, state: dict[str, Tensor]) -> None:
    """Take over the weights of a state_dict that DLStudio's pmGRU saved.

    The scaling stays as it is: DLStudio stores none.

    Raises:
        ValueError: the network is not one layer of MGU, or the sizes differ.
    """
    split(state, _layout(network), "DLStudio's pmGRU")


def to_published(network: Forecaster) -> dict[str, Tensor]:
    """The network's weights as DLStudio's pmGRU names and lays them out (copies).

    Raises:
        ValueError: the network is not one layer of MGU.
    """
    return join(_layout(network))


def _layout(network: Forecaster) -> Layout:
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
        "only one MGU layer that reads levels, and gives a level through tanh after its last "
        "step, has the form of DLStudio's pmGRU"
    )
