"""Cells against torch and other formulations, and gradcheck."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from rnnexp.nn.cell import Cell, Initial
from rnnexp.nn.cells import (
    GRU,
    LSTM,
    MGU,
    MGU1,
    MGU2,
    MGU3,
    GRUChung,
    LiGRU,
    Linear,
    MinGRU,
    TEXTnetOrder2,
    Vanilla,
)
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features
from tests.nn.running import KINDS, close, copy, hidden_of, states_of

# Other formulations -----------------------------------------------------------------------------


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(9, 3, 5, dtype=torch.float64)


def from_torch(cell: Any, reference: nn.RNNBase) -> None:
    """Copy the weights of one layer of torch, and the sum of its two biases."""
    weights: Any = reference
    copy(
        {
            cell.input_weight: weights.weight_ih_l0.t(),
            cell.U: weights.weight_hh_l0.t(),
            cell.bias: weights.bias_ih_l0 + weights.bias_hh_l0,
        }
    )


def test_vanilla_is_torchs_rnn(x: Tensor) -> None:
    reference, cell = nn.RNN(5, 7).double(), Vanilla(5, 7).double()
    from_torch(cell, reference)
    close(hidden_of(cell, x), reference(x)[0])


def test_linear_is_a_sum_over_the_inputs(x: Tensor) -> None:
    """h_T = sum of (W x_t + b) U^(T - t)"""
    cell = Linear(5, 7).double()
    inputs = x @ cell.input_weight + cell.bias
    powers = [torch.linalg.matrix_power(cell.U, len(x) - 1 - t) for t in range(len(x))]
    expected = sum(x_t @ power for x_t, power in zip(inputs, powers, strict=True))
    close(hidden_of(cell, x)[-1], expected)


def test_gru_is_torchs_gru_cell() -> None:
    torch.manual_seed(0)
    reference, cell = nn.GRUCell(5, 7).double(), GRU(5, 7).double()
    copy(
        {
            cell.input_weight: reference.weight_ih.t(),
            cell.U: reference.weight_hh.t(),
            cell.bias: reference.bias_ih,
            cell.recurrent_bias: reference.bias_hh,
        }
    )
    x, h = torch.randn(3, 5).double(), torch.randn(3, 7).double()
    (following,) = cell(x @ cell.input_weight + cell.bias, (h,))
    close(following, reference(x, h))


def test_lstm_is_torchs_lstm(x: Tensor) -> None:
    """Hidden states, cell states and the gradient of every weight."""
    reference, cell = nn.LSTM(5, 7).double(), LSTM(5, 7).double()
    from_torch(cell, reference)
    states = states_of(cell, x)
    hidden = torch.stack([h for h, _ in states])
    expected, (expected_h, expected_c) = reference(x)
    close(hidden, expected)
    close(states[-1], (expected_h[0], expected_c[0]))

    counts = torch.randn_like(hidden)
    ((hidden * counts).sum() + states[-1][1].sum()).backward()
    ((expected * counts).sum() + expected_c.sum()).backward()
    weights: Any = reference
    close(cell.input_weight.grad, weights.weight_ih_l0.grad.t())
    close(cell.U.grad, weights.weight_hh_l0.grad.t())
    close(cell.bias.grad, weights.bias_ih_l0.grad)


def test_gru_chung_is_torchs_gru_where_the_order_of_gate_and_product_is_the_same(x: Tensor) -> None:
    """r * (U_h h) = U_h (r * h) for a diagonal U_h; sigma(-a) = 1 - sigma(a) swaps z and 1 - z."""
    reference, cell = nn.GRU(5, 7).double(), GRUChung(5, 7).double()
    weights: Any = reference
    copy({cell.U_h: torch.diag(torch.randn(7))})
    W_z, W_r, W_h = cell.input_weight.t().chunk(3)
    b_z, b_r, b_h = cell.bias.chunk(3)
    U_z, U_r = cell.U.t().chunk(2)
    copy(
        {
            weights.weight_ih_l0: torch.cat([W_r, -W_z, W_h]),
            weights.bias_ih_l0: torch.cat([b_r, -b_z, b_h]),
            weights.weight_hh_l0: torch.cat([U_r, -U_z, cell.U_h.t()]),
            weights.bias_hh_l0: torch.zeros(21),
        }
    )
    close(hidden_of(cell, x), reference(x)[0])


def test_mgu_is_a_gru_of_which_both_gates_are_the_same(x: Tensor) -> None:
    cell, chung = MGU(5, 7).double(), GRUChung(5, 7).double()
    W_f, W_h = cell.input_weight.chunk(2, dim=1)
    b_f, b_h = cell.bias.chunk(2)
    copy(
        {
            chung.input_weight: torch.cat([W_f, W_f, W_h], dim=1),
            chung.bias: torch.cat([b_f, b_f, b_h]),
            chung.U: torch.cat([cell.U_f, cell.U_f], dim=1),
            chung.U_h: cell.U_h,
        }
    )
    close(hidden_of(cell, x), hidden_of(chung, x))


@pytest.mark.parametrize("kind", [MGU1, MGU2, MGU3])
def test_variants_of_mgu_lack_terms_of_its_gate(kind: type[Cell], x: Tensor) -> None:
    """Heck and Salem: MGU1 has no W_f x, MGU2 also has no b_f, MGU3 has only b_f."""
    cell: Any = kind(5, 7).double()
    whole, zero = MGU(5, 7).double(), torch.zeros(5, 7)
    copy(
        {
            whole.input_weight: torch.cat([zero, cell.input_weight], dim=1),
            whole.bias: torch.cat([torch.zeros(7) if kind is MGU2 else cell.b_f, cell.bias]),
            whole.U_f: torch.zeros(7, 7) if kind is MGU3 else cell.U_f,
            whole.U_h: cell.U_h,
        }
    )
    close(hidden_of(cell, x), hidden_of(whole, x))


def test_mingru_is_its_parallel_scan_in_logarithms(x: Tensor) -> None:
    """h_t = a_t h_{t-1} + v_t as exp(A_t + log sum_s exp(log v_s - A_s)), A_t the sum of log a_s;
    separately for the positive and negative parts of v (Heinsen 2023, arXiv 2311.06281)."""
    cell = MinGRU(5, 7).double()
    gate, candidate = cell.project(Features(x)).chunk(2, dim=2)
    decay = functional.logsigmoid(-gate).cumsum(0)

    def scan(values: Tensor) -> Tensor:
        return (decay + torch.logcumsumexp(values.log() - decay, 0)).exp()

    values = gate.sigmoid() * candidate
    close(hidden_of(cell, x), scan(values.clamp(min=0)) - scan(-values.clamp(max=0)))


def test_ligru_with_a_closed_gate_is_torchs_rnn_with_relu(x: Tensor) -> None:
    reference, cell = nn.RNN(5, 7, nonlinearity="relu").double(), LiGRU(5, 7).double().eval()
    weights: Any = reference
    cell.running_var.fill_(1 - 1e-5)
    copy(
        {
            cell.input_weight[:, 7:]: weights.weight_ih_l0.t(),
            cell.U[:, 7:]: weights.weight_hh_l0.t(),
            cell.bias: torch.cat(
                [torch.full((7,), -50.0), weights.bias_ih_l0 + weights.bias_hh_l0]
            ),
        }
    )
    close(hidden_of(cell, x), reference(x)[0])


# The normalisation of liGRU ---------------------------------------------------------------------


def test_ligru_normalises_over_the_real_steps_of_the_batch(x: Tensor) -> None:
    cell, norm = LiGRU(5, 7).double(), nn.BatchNorm1d(14).double()
    copy({cell.gain: torch.randn(14), cell.bias: torch.randn(14)})
    copy({norm.weight: cell.gain, norm.bias: cell.bias})
    lengths = torch.tensor([4, 9, 1])
    real = torch.arange(9).unsqueeze(1) < lengths
    for _ in range(2):
        expected = norm(x[real] @ cell.input_weight)
        close(cell.project(Features(x, lengths))[real], expected)
    for name in ("running_mean", "running_var"):
        close(getattr(cell, name), getattr(norm, name))
    cell.eval(), norm.eval()
    before = {name: buffer.clone() for name, buffer in cell.named_buffers()}
    close(cell.project(Features(x)), norm((x @ cell.input_weight).flatten(0, 1)).view(9, 3, 14))
    assert all(torch.equal(buffer, before[name]) for name, buffer in cell.named_buffers())


def test_recurrence_normalises_for_ligru(x: Tensor) -> None:
    recurrence = CellRecurrence(LiGRU, 5, 7).double()
    cell: Any = recurrence.layers[0]
    close(recurrence(Features(x))[0], hidden_of(cell, x))


@pytest.mark.parametrize("steps", [0, 1])
def test_ligru_takes_running_statistics_where_a_batch_has_none(steps: int, x: Tensor) -> None:
    cell = LiGRU(5, 7).double()
    cell.running_var.fill_(4.0)
    before = cell.project(Features(x[:steps, :1]))
    assert before.shape == (steps, 1, 14)
    close(before, cell.eval().project(Features(x[:steps, :1])))
    assert (cell.running_mean == 0).all()


# Gradients and first values ---------------------------------------------------------------------


class Hidden(nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Every tensor of the state at all steps."""
        return tuple(torch.stack(tensors) for tensors in zip(*states_of(self.cell, x), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: type[Cell]) -> None:
    torch.manual_seed(0)
    module = Hidden(kind(2, 3).double())
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in module.named_parameters()]

    def forward(x: Tensor, *parameters: Tensor) -> Any:
        return functional_call(module, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(forward, (x, *module.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_starts_within_its_bound(kind: type[Cell]) -> None:
    torch.manual_seed(0)
    for name, parameter in kind(5, 256, initial="hidden").named_parameters():
        if kind is LiGRU and name in ("gain", "bias"):
            assert (parameter == (name == "gain")).all()
            continue
        assert parameter.abs().max() <= 256**-0.5
        assert parameter.std().item() == pytest.approx(256**-0.5 / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_bounds_of_torchs_layers_and_of_a_linear_over_everything(kind: type[Cell]) -> None:
    read = 256 + 300 + (256 if kind is TEXTnetOrder2 else 0)  # TEXTnetOrder2 also reads cell_{t-2}
    bounds: dict[Initial, int] = {"hidden": 256, "inputs_and_hidden": read}
    for initial, size in bounds.items():
        weight = kind(300, 256, initial=initial).input_weight.detach()
        assert weight.abs().max().item() == pytest.approx(size**-0.5, rel=0.001)


KEEPING = [GRU, GRUChung, LSTM, MGU, MGU1, MGU3, LiGRU, MinGRU]


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_large_forget_bias_the_state_stays_as_it_is(kind: type[Cell]) -> None:
    def layers(bias: float) -> list[Any]:
        torch.manual_seed(0)
        made = CellRecurrence(kind, 3, 4, num_layers=2, bidirectional=True, forget_bias=bias)
        return [*made.layers, *made.backward_layers]

    for drawn, open_cell in zip(layers(0), layers(50), strict=True):
        if kind not in KEEPING:
            weights = zip(drawn.parameters(), open_cell.parameters(), strict=True)
            assert all(torch.equal(old, new) for old, new in weights)
            continue
        state = tuple(torch.rand(2, 4) + 0.1 for _ in range(kind.states))
        before, after = (cell(cell.bias.expand(2, -1), state)[-1] for cell in (drawn, open_cell))
        if kind is LSTM:  # c_t = f * c_{t-1} + i * g: compare without i * g
            i, _, g, _ = (open_cell.bias + state[0] @ open_cell.U).chunk(4, dim=1)
            after = after - torch.sigmoid(i) * torch.tanh(g)
        torch.testing.assert_close(after, state[-1])
        assert not torch.allclose(before, state[-1], atol=0.05)
