"""pmGRU, the lecture's network for load prediction, in the layout that DLStudio stores.

DLStudio 2.5.8 names its three layers

    project1.0  (H, I + H)  W_f | U_f  over [x_t; h_{t-1}]
    project2.0  (H, I + H)  W_h | U_h  over [x_t; f_t * h_{t-1}]
    project3.0  (1, H)      W_o        over h_T, then tanh

Here the input weights stand apart from the recurrent ones, stored for products from the right, so
translating is splitting or joining, and transposing.
"""

import torch
from torch import Tensor
from torch.nn import Linear, Tanh

from rnnexp.nn.cells import MGU
from rnnexp.nn.forecaster import Forecaster
from rnnexp.nn.readouts import LastHidden
from rnnexp.nn.recurrence import CellRecurrence


def load_published(network: Forecaster, state: dict[str, Tensor]) -> None:
    """Take over the weights of a state_dict that DLStudio's pmGRU saved.

    The scaling stays as it is: DLStudio stores none.

    Raises:
        ValueError: the network is not one layer of MGU, or the sizes differ.
    """
    cell, readout = _parts(network)
    expected = to_published(network)
    for name, weight in expected.items():
        if name not in state:
            raise ValueError(f"the state_dict has no {name!r}: it is not DLStudio's pmGRU")
        if state[name].shape != weight.shape:
            found, wanted = tuple(state[name].shape), tuple(weight.shape)
            raise ValueError(f"{name} has shape {found}, this network needs {wanted}")
    inputs = cell.input_size
    with torch.no_grad():
        gate, candidate = state["project1.0.weight"], state["project2.0.weight"]
        cell.input_weight.copy_(torch.cat([gate[:, :inputs], candidate[:, :inputs]]).t())
        cell.U_f.copy_(gate[:, inputs:].t())
        cell.U_h.copy_(candidate[:, inputs:].t())
        cell.bias.copy_(torch.cat([state["project1.0.bias"], state["project2.0.bias"]]))
        readout.weight.copy_(state["project3.0.weight"])
        readout.bias.copy_(state["project3.0.bias"])


def to_published(network: Forecaster) -> dict[str, Tensor]:
    """The network's weights as DLStudio's pmGRU names and lays them out (copies)."""
    cell, readout = _parts(network)
    gate, candidate = cell.input_weight.detach().t().chunk(2)  # (H, I) each
    gate_bias, candidate_bias = cell.bias.detach().chunk(2)
    return {
        "project1.0.weight": torch.cat([gate, cell.U_f.detach().t()], dim=1),
        "project1.0.bias": gate_bias.clone(),
        "project2.0.weight": torch.cat([candidate, cell.U_h.detach().t()], dim=1),
        "project2.0.bias": candidate_bias.clone(),
        "project3.0.weight": readout.weight.detach().clone(),
        "project3.0.bias": readout.bias.detach().clone(),
    }


def _parts(network: Forecaster) -> tuple[MGU, Linear]:
    recurrence, readout = network.recurrence, network.readout
    levels = network.inputs == ("level",) and network.target == "level"
    if levels and isinstance(recurrence, CellRecurrence) and isinstance(readout, LastHidden):
        cell, *others = recurrence.layers
        if isinstance(cell, MGU) and not others and isinstance(readout.activation, Tanh):
            return cell, readout.linear
    raise ValueError(
        "only one MGU layer that reads levels, and gives a level through tanh after its last "
        "step, has the form of DLStudio's pmGRU"
    )
