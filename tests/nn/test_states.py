"""Hidden states and gates of a layer: those of the network, and of the equations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.cells import GRU, LSTM, MGU, MGU3, LiGRU, Linear, Vanilla
from rnnexp.nn.recurrence import CellRecurrence, TorchRecurrence
from rnnexp.nn.representations import Features, OneHot
from rnnexp.nn.states import layer_states, layers_of
from tests.nn.running import KINDS

STEPS, INPUTS, HIDDEN = 6, 3, 4
RECURRENCES: dict[str, Callable[..., Any]] = {
    **{kind.__name__: partial(CellRecurrence, kind) for kind in KINDS},
    **{f"torch_{kind.__name__}": partial(TorchRecurrence, kind) for kind in (nn.GRU, nn.LSTM)},
}


def sequence(steps: int = STEPS) -> Features:
    return Features(torch.randn(steps, 1, INPUTS, generator=torch.Generator().manual_seed(1)))


def sigma(values: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-values))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", RECURRENCES)
def test_the_hidden_states_are_the_outputs_of_the_network(name: str, layers: int) -> None:
    torch.manual_seed(0)
    recurrence = RECURRENCES[name](INPUTS, HIDDEN, num_layers=layers, bidirectional=True).eval()
    assert layers_of(recurrence) == layers
    x = sequence()
    outputs, _ = recurrence(x)
    found = layer_states(recurrence, x, layers - 1)
    assert [one.direction for one in found] == ["forward", "backward"]
    torch.testing.assert_close(torch.cat([one.hidden for one in found], 1), outputs[:, 0])
    for one in found:
        assert all(gate.shape == (STEPS, HIDDEN) for gate in one.gates.values())


def test_the_first_layer_of_two_of_torchs() -> None:
    torch.manual_seed(0)
    recurrence = TorchRecurrence(nn.LSTM, INPUTS, HIDDEN, num_layers=2, bidirectional=True)
    first = nn.LSTM(INPUTS, HIDDEN, bidirectional=True)
    own = recurrence.layers.state_dict()
    first.load_state_dict({name: value for name, value in own.items() if "_l0" in name})
    found = layer_states(recurrence, sequence(), 0)
    expected = first(sequence().values)[0][:, 0]
    torch.testing.assert_close(torch.cat([one.hidden for one in found], 1), expected)


def test_the_gates_of_torchs_gru() -> None:
    torch.manual_seed(0)
    recurrence, x = TorchRecurrence(nn.GRU, INPUTS, HIDDEN), sequence()
    weights: Any = recurrence.layers
    hidden = torch.cat([torch.zeros(1, HIDDEN), weights(x.values)[0][:, 0]])  # h_0 .. h_T
    read = x.values[:, 0] @ weights.weight_ih_l0.T + weights.bias_ih_l0
    gates = sigma(read + hidden[:-1] @ weights.weight_hh_l0.T + weights.bias_hh_l0)
    [found] = layer_states(recurrence, x, 0)
    assert list(found.gates) == ["reset gate r", "update gate z (1: h is kept)"]
    r, z = found.gates.values()
    torch.testing.assert_close(r, gates[:, :HIDDEN].detach())
    torch.testing.assert_close(z, gates[:, HIDDEN : 2 * HIDDEN].detach())


@pytest.mark.parametrize("own", [True, False])
def test_the_gates_of_the_lstm(own: bool) -> None:
    torch.manual_seed(0)
    weights = nn.LSTM(INPUTS, HIDDEN)
    x = sequence()
    if own:
        recurrence: Any = CellRecurrence(LSTM, INPUTS, HIDDEN)
        cell: Any = recurrence.layers[0]
        W, U, b = cell.input_weight, cell.U, cell.bias
    else:
        recurrence = TorchRecurrence(nn.LSTM, INPUTS, HIDDEN)
        weights = recurrence.layers
        W, U = weights.weight_ih_l0.T, weights.weight_hh_l0.T
        b = weights.bias_ih_l0 + weights.bias_hh_l0
    h = c = torch.zeros(HIDDEN)
    expected = []
    for x_t in x.values[:, 0]:
        i, f, g, o = (x_t @ W + h @ U + b).split(HIDDEN)
        expected.append((sigma(f), sigma(i), sigma(o)))
        c = sigma(f) * c + sigma(i) * torch.tanh(g)
        h = sigma(o) * torch.tanh(c)
    [found] = layer_states(recurrence, x, 0)
    assert [name[:6] for name in found.gates] == ["forget", "input ", "output"]
    for gate, steps in zip(found.gates.values(), zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(gate, torch.stack(steps).detach())


def test_the_gate_of_the_mgu_over_one_hot_words_read_backward() -> None:
    torch.manual_seed(0)
    recurrence = CellRecurrence(MGU, 5, HIDDEN, bidirectional=True)
    words = [0, 3, 3, 1]
    cell: Any = recurrence.backward_layers[0]
    h, expected = torch.zeros(HIDDEN), {}
    for step in reversed(range(len(words))):
        read = cell.input_weight[words[step]] + cell.bias
        f = sigma(read[:HIDDEN] + h @ cell.U_f)
        h = (1 - f) * h + f * torch.tanh(read[HIDDEN:] + (f * h) @ cell.U_h)
        expected[step] = f.detach()
    found = layer_states(recurrence, OneHot(torch.tensor(words).unsqueeze(1)), 0)[1]
    [gate] = found.gates.values()
    torch.testing.assert_close(gate, torch.stack([expected[step] for step in range(len(words))]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_names_the_gates_that_it_has(kind: type[Cell]) -> None:
    [found] = layer_states(CellRecurrence(kind, INPUTS, HIDDEN).eval(), sequence(), 0)
    assert tuple(found.gates) == kind.gates
    assert bool(kind.gates) == (kind not in (Vanilla, Linear))
    assert all(((gate > 0) & (gate < 1)).all() for gate in found.gates.values())


def test_a_gate_that_is_a_constant_is_so_at_every_step() -> None:
    recurrence: Any = CellRecurrence(MGU3, INPUTS, HIDDEN)
    [found] = layer_states(recurrence, sequence(), 0)
    [gate] = found.gates.values()
    torch.testing.assert_close(gate, sigma(recurrence.layers[0].b_f).detach().expand(STEPS, -1))


def test_a_layer_with_statistics_is_not_changed() -> None:
    recurrence: Any = CellRecurrence(LiGRU, INPUTS, HIDDEN).eval()
    before = {name: value.clone() for name, value in recurrence.state_dict().items()}
    layer_states(recurrence, sequence(), 0)
    assert all(torch.equal(value, before[name]) for name, value in recurrence.state_dict().items())


def test_a_cell_from_elsewhere_need_not_name_its_gates() -> None:
    class Own(Cell):
        projections = 2

        def __init__(self, input_size: int, hidden_size: int) -> None:
            super().__init__(input_size, hidden_size)
            self.reset_parameters()

        def forward(self, x: Tensor, state: State) -> State:
            kept, new = x.chunk(2, dim=1)
            return (kept.sigmoid() * state[0] + nn.functional.sigmoid(new),)

    recurrence: Any = CellRecurrence(Own, INPUTS, HIDDEN)
    x = sequence()
    [found] = layer_states(recurrence, x, 0)
    expected = sigma(recurrence.layers[0].project(x))[:, 0].detach()
    assert list(found.gates) == ["sigmoid 1", "sigmoid 2"]
    torch.testing.assert_close(torch.cat(list(found.gates.values()), 1), expected)


@pytest.mark.parametrize(
    "settings", [{"nonlinearity": "relu"}, {"bias": False}, {"kind": nn.LSTM, "proj_size": 2}]
)
def test_layers_without_a_cell_of_their_equations(settings: dict[str, Any]) -> None:
    kind = settings.pop("kind", nn.RNN)
    recurrence = TorchRecurrence(partial(kind, **settings), INPUTS, HIDDEN)
    with pytest.raises(ValueError, match="has no cell with its equations"):
        layer_states(recurrence, sequence(), 0)


def test_no_random_number_is_drawn() -> None:
    recurrence: Any = TorchRecurrence(nn.RNN, INPUTS, HIDDEN)
    before = torch.get_rng_state()
    [found] = layer_states(recurrence, sequence(), 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(found.hidden, recurrence(sequence())[0][:, 0].detach())


def test_one_step() -> None:
    for kind in (GRU, LSTM):
        [found] = layer_states(CellRecurrence(kind, INPUTS, HIDDEN), sequence(1), 0)
        assert found.hidden.shape == (1, HIDDEN)
