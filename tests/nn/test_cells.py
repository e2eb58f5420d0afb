"""Cells against scalars computed from the equations, against torch, and by gradcheck."""

import math
from typing import Any

import pytest
import torch

from rnnexp.nn.cells import GRU, MGU, Cell, Initial, TEXTnetOrder2, Vanilla
from rnnexp.nn.recurrence import run
from rnnexp.nn.representations import Features


def sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def mgu_by_scalars(cell: MGU, x: list[list[float]]) -> list[list[float]]:
    """pmGRU for one sequence, element by element, as facts about it are published:

    f = sigma(W_f x + U_f h + b_f); c = tanh(W_h x + U_h (f * h) + b_h); h = (1-f) * h + f * c
    """
    size, inputs = cell.hidden_size, cell.input_size
    weight, bias = cell.input_weight.tolist(), cell.bias.tolist()
    gate_weight, candidate_weight = cell.U_f.tolist(), cell.U_h.tolist()
    h, outputs = [0.0] * size, []
    for x_t in x:
        f = [
            sigmoid(
                sum(x_t[i] * weight[i][j] for i in range(inputs))
                + sum(h[k] * gate_weight[k][j] for k in range(size))
                + bias[j]
            )
            for j in range(size)
        ]
        c = [
            math.tanh(
                sum(x_t[i] * weight[i][size + j] for i in range(inputs))
                + sum(f[k] * h[k] * candidate_weight[k][j] for k in range(size))
                + bias[size + j]
            )
            for j in range(size)
        ]
        h = [(1 - f[j]) * h[j] + f[j] * c[j] for j in range(size)]
        outputs.append(h)
    return outputs


def test_mgu_is_its_equations() -> None:
    torch.manual_seed(0)
    cell = MGU(3, 4).double()
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    hidden, (final,) = run(cell, Features(x))
    for b in range(2):
        expected = torch.tensor(mgu_by_scalars(cell, x[:, b].tolist()), dtype=torch.float64)
        torch.testing.assert_close(hidden[:, b], expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(final[b], expected[-1], rtol=1e-12, atol=1e-14)


def test_mgu_by_hand() -> None:
    """One unit, one step from h = 0.5: the gate inside the candidate, and the sense of the mix."""
    cell = MGU(1, 1).double()
    with torch.no_grad():
        cell.input_weight.copy_(torch.tensor([[1.0, 2.0]]))
        cell.U_f.fill_(3.0)
        cell.U_h.fill_(4.0)
        cell.bias.copy_(torch.tensor([-1.0, -2.0]))
    x = torch.tensor([[0.2 * 1.0 - 1.0, 0.2 * 2.0 - 2.0]], dtype=torch.float64)
    (h,) = cell(x, (torch.tensor([[0.5]], dtype=torch.float64),))
    f = sigmoid(0.2 - 1.0 + 1.5)  # 0.6681877721681662
    candidate = math.tanh(0.4 - 2.0 + 4 * f * 0.5)
    assert h.item() == pytest.approx((1 - f) * 0.5 + f * candidate, rel=1e-12)
    assert h.item() == pytest.approx(-0.00627416293, rel=1e-8)


def test_vanilla_is_torch_rnn() -> None:
    torch.manual_seed(0)
    reference: Any = torch.nn.RNN(5, 7)
    cell = Vanilla(5, 7)
    with torch.no_grad():
        cell.input_weight.copy_(reference.weight_ih_l0.t())
        cell.U.copy_(reference.weight_hh_l0.t())
        cell.bias.copy_(reference.bias_ih_l0 + reference.bias_hh_l0)
    x = torch.randn(9, 3, 5)
    hidden, (final,) = run(cell, Features(x))
    expected, expected_final = reference(x)
    torch.testing.assert_close(hidden, expected)
    torch.testing.assert_close(final, expected_final[0])


def test_gru_is_torchs_gru_cell() -> None:
    torch.manual_seed(0)
    reference = torch.nn.GRUCell(5, 7).double()
    cell = GRU(5, 7).double()
    with torch.no_grad():
        cell.input_weight.copy_(reference.weight_ih.t())
        cell.U.copy_(reference.weight_hh.t())
        cell.bias.copy_(reference.bias_ih)
        cell.recurrent_bias.copy_(reference.bias_hh)
    x, h = torch.randn(3, 5).double(), torch.randn(3, 7).double()
    (following,) = cell(x @ cell.input_weight + cell.bias, (h,))
    torch.testing.assert_close(following, reference(x, h), rtol=1e-12, atol=1e-14)


def test_textnet_order2_by_hand() -> None:
    """One unit: the state is h, its cell, and the cell before, which is what the step reads."""
    cell = TEXTnetOrder2(1, 1).double()
    with torch.no_grad():
        for parameter, value in {cell.U: 2.0, cell.V: 3.0, cell.W_c: 4.0, cell.b_c: -1.0}.items():
            parameter.fill_(value)
    state = tuple(torch.tensor([[value]], dtype=torch.float64) for value in (0.5, 0.25, 0.125))
    h, of_h, before = cell(torch.tensor([[-0.7]], dtype=torch.float64), state)
    expected = math.tanh(-0.7 + 2 * 0.5 + 3 * 0.125)
    assert h.item() == pytest.approx(expected, rel=1e-12)
    assert of_h.item() == pytest.approx(sigmoid(4 * expected - 1), rel=1e-12)
    assert before.item() == 0.25


@pytest.mark.parametrize("kind", Cell.__subclasses__())
def test_gradients(kind: type[Cell]) -> None:
    torch.manual_seed(0)
    cell = kind(2, 3).double()
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def forward(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in cell.named_parameters()]
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(_Run(cell), {f"cell.{k}": v for k, v in state.items()}, x)

    assert torch.autograd.gradcheck(forward, (x, *cell.parameters()))


class _Run(torch.nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return run(self.cell, Features(x))[0]


def test_every_parameter_starts_within_its_bound() -> None:
    cell = MGU(5, 256)
    for parameter in (p.detach() for p in cell.parameters()):
        assert parameter.abs().max() <= 256**-0.5
        assert parameter.std().item() == pytest.approx(256**-0.5 / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("kind", Cell.__subclasses__())
def test_initial_bounds_of_torchs_layers_and_of_a_linear_over_everything(kind: type[Cell]) -> None:
    read = 256 + 300 + (256 if kind is TEXTnetOrder2 else 0)  # TEXTnetOrder2 reads a cell too
    bounds: dict[Initial, int] = {"hidden": 256, "inputs_and_hidden": read}
    for initial, size in bounds.items():
        weight = kind(300, 256, initial=initial).input_weight.detach()
        assert weight.abs().max().item() == pytest.approx(size**-0.5, rel=0.001)
