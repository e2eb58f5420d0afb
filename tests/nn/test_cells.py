"""Cells against scalars computed from the equations, against torch and other formulations, and by
gradcheck; each recurrence of the config group on every representation; a cell from outside."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from rnnexp import config
from rnnexp.cli import main
from rnnexp.config import targets
from rnnexp.nn import cells
from rnnexp.nn.cells import (
    GRU,
    LSTM,
    MGU,
    MGU1,
    MGU2,
    MGU3,
    Cell,
    GRUChung,
    Initial,
    LiGRU,
    Linear,
    MinGRU,
    TEXTnetOrder2,
    Vanilla,
)
from rnnexp.nn.recurrence import CellRecurrence, Recurrence
from rnnexp.nn.representations import Embeddings, Features, OneHotTokens, Sequences
from tests.support import REPOSITORY
from tests.support.networks import EMBEDDINGS, classifier

FILES = sorted((REPOSITORY / "conf/model/recurrence").glob("[!_]*.yaml"))
RECURRENCES = [file.stem for file in FILES]
OWN = [file.stem for file in FILES if "TorchRecurrence" not in file.read_text()]
KINDS = [kind for kind in Cell.__subclasses__() if kind.__module__ == cells.__name__]


def states_of(cell: Cell, x: Tensor) -> list[tuple[Tensor, ...]]:
    """The state after every step; x: (T, B, I)."""
    state, states = cell.zero_state(x.shape[1]), []
    for x_t in cell.project(Features(x)).unbind(0):
        state = cell(x_t, state)
        states.append(state)
    return states


def hidden_of(cell: Cell, x: Tensor) -> Tensor:
    """Every hidden state, (T, B, H)."""
    return torch.stack([state[0] for state in states_of(cell, x)])


def copy(values: dict[Any, Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(value)


# By hand ----------------------------------------------------------------------------------------

Vector = list[float]


def plus(*vectors: Vector) -> Vector:
    return [sum(entries) for entries in zip(*vectors, strict=True)]


def times(a: Vector, b: Vector) -> Vector:
    return [p * q for p, q in zip(a, b, strict=True)]


def less(a: Vector) -> Vector:
    """1 - a"""
    return [1 - p for p in a]


def sigma(a: Vector) -> Vector:
    return [1 / (1 + math.exp(-p)) for p in a]


def tanh(a: Vector) -> Vector:
    return [math.tanh(p) for p in a]


def relu(a: Vector) -> Vector:
    return [max(p, 0.0) for p in a]


def product(vector: Vector, matrix: list[Vector]) -> Vector:
    return [sum(v * row[j] for v, row in zip(vector, matrix, strict=True)) for j in range(SIZE)]


class Weights:
    """Of a cell as lists: `W[n]`, `b[n]` of the n-th input projection, `U[n]` of the n-th part."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.W = [part.tolist() for part in cell.input_weight.split(SIZE, dim=1)]
        self.b = [part.tolist() for part in cell.bias.split(SIZE)]

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.cell, name).detach()
        if name in ("U", "recurrent_bias", "gain", "running_mean", "running_var"):
            return [part.tolist() for part in value.split(SIZE, dim=-1)]
        return value.tolist()


Equations = Callable[[Weights, list[Vector], list[Vector]], list[Vector]]
INPUTS, SIZE = 3, 2


def vanilla(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    return [tanh(plus(x[0], product(state[0], p.U[0])))]


def linear(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    return [plus(x[0], product(state[0], p.U[0]))]


def textnet_order2(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    h, cell, fed = state
    h = tanh(plus(x[0], product(h, p.U[0]), product(fed, p.V)))
    return [h, sigma(plus(product(h, p.W_c), p.b_c)), cell]


def gru_chung(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    (h,) = state
    z = sigma(plus(x[0], product(h, p.U[0])))
    r = sigma(plus(x[1], product(h, p.U[1])))
    candidate = tanh(plus(x[2], product(times(r, h), p.U_h)))
    return [plus(times(less(z), h), times(z, candidate))]


def gru(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    (h,), d = state, p.recurrent_bias
    r = sigma(plus(x[0], product(h, p.U[0]), d[0]))
    z = sigma(plus(x[1], product(h, p.U[1]), d[1]))
    candidate = tanh(plus(x[2], times(r, plus(product(h, p.U[2]), d[2]))))
    return [plus(times(less(z), candidate), times(z, h))]


def lstm(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    h, c = state
    i, f, g, o = (plus(x[n], product(h, p.U[n])) for n in range(4))
    c = plus(times(sigma(f), c), times(sigma(i), tanh(g)))
    return [times(sigma(o), tanh(c)), c]


def minimal(p: Weights, f: Vector, x_h: Vector, h: Vector) -> list[Vector]:
    """What MGU and its variants share."""
    candidate = tanh(plus(x_h, product(times(f, h), p.U_h)))
    return [plus(times(less(f), h), times(f, candidate))]


def mgu(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    return minimal(p, sigma(plus(x[0], product(state[0], p.U_f))), x[1], state[0])


def mgu1(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    return minimal(p, sigma(plus(product(state[0], p.U_f), p.b_f)), x[0], state[0])


def mgu2(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    return minimal(p, sigma(product(state[0], p.U_f)), x[0], state[0])


def mgu3(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    return minimal(p, sigma(p.b_f), x[0], state[0])


def ligru(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    (h,) = state
    for n in range(2):  # x holds W x + b; the bias comes after the normalisation
        x[n] = [
            gain * (a - b - mean) / math.sqrt(variance + 1e-5) + b
            for a, b, gain, mean, variance in zip(
                x[n], p.b[n], p.gain[n], p.running_mean[n], p.running_var[n], strict=True
            )
        ]
    z = sigma(plus(x[0], product(h, p.U[0])))
    candidate = relu(plus(x[1], product(h, p.U[1])))
    return [plus(times(z, h), times(less(z), candidate))]


def mingru(p: Weights, x: list[Vector], state: list[Vector]) -> list[Vector]:
    z = sigma(x[0])
    return [plus(times(less(z), state[0]), times(z, x[1]))]


EQUATIONS: dict[type[Cell], Equations] = {
    Vanilla: vanilla,
    Linear: linear,
    TEXTnetOrder2: textnet_order2,
    GRUChung: gru_chung,
    GRU: gru,
    LSTM: lstm,
    MGU: mgu,
    MGU1: mgu1,
    MGU2: mgu2,
    MGU3: mgu3,
    LiGRU: ligru,
    MinGRU: mingru,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_its_equations(kind: type[Cell]) -> None:
    """Every state of a sequence, number by number; weights and statistics of no special value."""
    torch.manual_seed(0)
    cell = kind(INPUTS, SIZE).double().eval()
    for tensor in cell.state_dict().values():
        tensor.uniform_(0.2, 1.5).mul_(torch.randn(1).sign().double())
    if isinstance(cell, LiGRU):
        cell.running_var.abs_()
    x = torch.randn(5, 1, INPUTS, dtype=torch.float64)
    weights = Weights(cell)
    by_hand = [[0.0] * SIZE] * cell.states
    for x_t, state in zip(x[:, 0].tolist(), states_of(cell, x), strict=True):
        projected = [plus(product(x_t, W), b) for W, b in zip(weights.W, weights.b, strict=True)]
        by_hand = EQUATIONS[kind](weights, projected, by_hand)
        for tensor, expected in zip(state, by_hand, strict=True):
            assert tensor[0].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_mgu_by_hand() -> None:
    """One unit, one step from h = 0.5: the gate inside the candidate, and the sense of the mix."""
    cell = MGU(1, 1).double()
    copy({cell.input_weight: torch.tensor([[1.0, 2.0]]), cell.bias: torch.tensor([-1.0, -2.0])})
    copy({cell.U_f: torch.tensor(3.0), cell.U_h: torch.tensor(4.0)})
    x = torch.tensor([[0.2 * 1.0 - 1.0, 0.2 * 2.0 - 2.0]], dtype=torch.float64)
    (h,) = cell(x, (torch.tensor([[0.5]], dtype=torch.float64),))
    f = 1 / (1 + math.exp(-(0.2 - 1.0 + 1.5)))  # 0.6681877721681662
    candidate = math.tanh(0.4 - 2.0 + 4 * f * 0.5)
    assert h.item() == pytest.approx((1 - f) * 0.5 + f * candidate, rel=1e-12)
    assert h.item() == pytest.approx(-0.00627416293, rel=1e-8)


def test_numbers_of_parameters() -> None:
    """At input 5 and hidden 256, as published for MGU and its variants; torch's have two biases."""
    counts = {
        kind: sum(parameter.numel() for parameter in kind(5, 256).parameters()) for kind in KINDS
    }
    of_torch = {
        kind: sum(parameter.numel() for parameter in kind(5, 256).parameters())
        for kind in (nn.RNN, nn.GRU, nn.LSTM)
    }
    assert counts == {
        MGU: 134_144,
        MGU1: 132_864,
        MGU2: 132_608,
        MGU3: 67_328,
        Vanilla: of_torch[nn.RNN] - 256,
        Linear: of_torch[nn.RNN] - 256,
        GRU: of_torch[nn.GRU],
        GRUChung: of_torch[nn.GRU] - 3 * 256,
        LSTM: of_torch[nn.LSTM] - 4 * 256,
        TEXTnetOrder2: (5 + 256 + 256) * 256 + 256 + 256 * 256 + 256,
        LiGRU: (5 + 256) * 512 + 2 * 512,  # gain and bias of each normalised number
        MinGRU: 5 * 512 + 512,
    }


# Other formulations -----------------------------------------------------------------------------


def close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-12)


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(9, 3, 5, dtype=torch.float64)


def from_torch(cell: Any, reference: nn.RNNBase) -> None:
    """Take the weights of one layer of torch, whose two biases are one here."""
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
    """Hidden and cell states, and the gradient of every weight."""
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
    """r * (U_h h) is U_h (r * h) for a diagonal U_h; the opposite sense of z is sigma(-a)."""
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
    """Heck and Salem: without W_f x (1), also without b_f (2), with b_f alone (3)."""
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
    positive and negative parts of v by themselves (Heinsen 2023, arXiv 2311.06281)."""
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
        """Every tensor of every state."""
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
    read = 256 + 300 + (256 if kind is TEXTnetOrder2 else 0)  # TEXTnetOrder2 reads a cell too
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
        if kind is LSTM:  # to its c something is added all the same
            i, _, g, _ = (open_cell.bias + state[0] @ open_cell.U).chunk(4, dim=1)
            after = after - torch.sigmoid(i) * torch.tanh(g)
        torch.testing.assert_close(after, state[-1])
        assert not torch.allclose(before, state[-1], atol=0.05)


# The config group -------------------------------------------------------------------------------


@cache
def config_with(name: str) -> DictConfig:
    """The config of `rnnexp train model/recurrence=NAME`."""
    options = ("model=rnn", "model/readout=last_hidden", f"model/recurrence={name}")
    return config.compose(["task=classification", "~experiment", *options])


def recurrence_of(name: str, input_size: int) -> Recurrence:
    """Two layers in two directions."""
    torch.manual_seed(0)
    sizes = {"input_size": input_size, "hidden_size": 6, "num_layers": 2}
    return config.instantiate(config_with(name), "model.recurrence")(**sizes, bidirectional=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_has_an_option_and_may_be_named_in_a_config(kind: type[Cell]) -> None:
    target = f"{kind.__module__}.{kind.__name__}"
    assert target in [config_with(name).model.recurrence.cell._target_ for name in OWN]
    assert targets.locate({"_target_": target}, "cell") is kind


def one_hot(tokens: Tensor) -> Callable[[Tensor], Sequences]:
    return lambda lengths: OneHotTokens(11)(tokens, lengths)


def embedded(tokens: Tensor) -> Callable[[Tensor], Sequences]:
    torch.manual_seed(1)
    table = Embeddings(11, dimension=4).double()
    return lambda lengths: table(tokens, lengths)


def features(tokens: Tensor) -> Callable[[Tensor], Sequences]:
    """A row of numbers for every token; whatever token is padding is not even a number."""
    table = torch.randn(11, 4, generator=torch.Generator().manual_seed(2)).double()
    table[10] = torch.nan
    return lambda lengths: Features(table[tokens.t()], lengths)


REPRESENTATIONS = {"one_hot": (one_hot, 11), "embeddings": (embedded, 4), "features": (features, 4)}
LENGTHS = torch.tensor([4, 1, 3, 4, 2])


@pytest.mark.parametrize("representation", REPRESENTATIONS)
@pytest.mark.parametrize("name", RECURRENCES)
def test_every_recurrence_on_every_representation(name: str, representation: str) -> None:
    """Two layers, two directions, lengths: padding changes neither states nor gradients nor what
    evaluation makes of a sequence alone."""
    represent, input_size = REPRESENTATIONS[representation]
    recurrence = recurrence_of(name, input_size).double()
    tokens = torch.randint(10, (5, 4))
    if name not in OWN and representation == "one_hot":
        with pytest.raises(ValueError, match="one-hot vectors are never built"):
            recurrence(represent(tokens)(LENGTHS))
        return

    def results(tokens: Tensor) -> list[Tensor]:
        """States of real steps, final state, and the gradient of every parameter."""
        hidden, final = recurrence(represent(tokens)(LENGTHS))
        real = hidden[torch.arange(len(hidden)).unsqueeze(1) < LENGTHS]
        assert real.shape == (14, 12) and [tuple(s.shape) for s in final] == [(5, 12)] * len(final)
        outputs = torch.cat([real, *final])
        counts = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
        gradients = torch.autograd.grad((outputs * counts).sum(), list(recurrence.parameters()))
        return [real, *final, *gradients]

    before = results(tokens)
    assert all(tensor.isfinite().all() and tensor.abs().sum() > 0 for tensor in before)
    padding = torch.arange(4) >= LENGTHS.unsqueeze(1)
    longer = torch.cat([tokens.masked_fill(padding, 10), torch.full((5, 2), 10)], dim=1)
    for tensor, expected in zip(results(longer), before, strict=True):
        torch.testing.assert_close(tensor, expected, rtol=1e-11, atol=1e-12)

    recurrence.eval()
    hidden, final = recurrence(represent(longer)(LENGTHS))
    for b, length in enumerate(LENGTHS.tolist()):
        alone, of_alone = recurrence(represent(tokens[b : b + 1, :length])(LENGTHS[b : b + 1]))
        close(hidden[:length, b], alone[:, 0])
        close([tensor[b] for tensor in final], [tensor[0] for tensor in of_alone])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("representation", ["one_hot", "features"])
def test_every_cell_under_autocast(name: str, representation: str) -> None:
    """Products in bfloat16: about the same states, and gradients in the parameters' own type."""
    represent, input_size = REPRESENTATIONS[representation]
    recurrence = recurrence_of(name, input_size)
    x = represent(torch.randint(10, (5, 4)))(LENGTHS)
    if isinstance(x, Features):
        x = Features(x.values.float(), LENGTHS)
    expected, _ = recurrence(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden, final = recurrence(x)
        (hidden.float().square().mean() + sum(tensor.float().mean() for tensor in final)).backward()
    assert not torch.equal(hidden.float(), expected)
    torch.testing.assert_close(hidden.float(), expected, rtol=0.1, atol=0.1)
    for parameter in recurrence.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm", "pmgru", "grunet", "textnet"])
def test_every_model_takes_another_cell(model: str) -> None:
    network: Any = classifier(f"model={model}", "model/recurrence=mgu2", EMBEDDINGS, hidden_size=6)
    assert isinstance(network.recurrence.layers[0], MGU2)
    assert network(torch.randint(11, (3, 4)), torch.tensor([4, 2, 3])).shape == (3, 2)


# A cell from outside ----------------------------------------------------------------------------

LEAKY = '''
import torch
from torch import nn

from rnnexp.nn.cells import Cell, mix, recurrent


class Leaky(Cell):
    """h_t = (1 - a) * h_{t-1} + a * tanh(W x_t + b + U h_{t-1}), a = sigma(leak) learnt."""

    projections = 1

    def __init__(self, input_size, hidden_size, initial="hidden"):
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size)
        self.leak = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def forward(self, x, state):
        (h,) = state
        return (mix(h, torch.tanh(torch.addmm(x, h, self.U)), torch.sigmoid(self.leak)),)
'''
OPTION = """
defaults: [vanilla, _self_]
cell: {_target_: mycells.Leaky}
"""


def test_a_cell_from_outside_is_trained_and_repeated(
    empty_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    package, option = tmp_path / "package", empty_folder / "conf/model/recurrence/leaky.yaml"
    package.mkdir()
    (package / "mycells.py").write_text(LEAKY)
    option.parent.mkdir(parents=True)
    option.write_text(OPTION)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), str(package)]))
    monkeypatch.setenv("RNNEXP_CACHE", str(empty_folder / "cache"))
    training = [
        *("model=rnn", "model/recurrence=leaky", "model.hidden_size=4", "--allow", "mycells"),
        *("data.number=1", "data.days=40", "data.look_back=30", "data.chunking.length=40"),
        *("trainer.max_epochs=1", "trainer.limit_train_batches=2", "data.batch_size=4"),
        *("trainer.accelerator=cpu", "determinism.threads=1", "logger=none"),
        "callbacks.progress_bar=null",
    ]
    command = [sys.executable, "-m", "rnnexp", "train", *training]
    subprocess.run(command, timeout=600, check=True)
    [folder] = (empty_folder / "outputs/quickstart").iterdir()
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    assert any(name.endswith("layers.0.leak") for name in best["state_dict"])

    # The list is the user's: nothing in the run folder lets the class in.
    assert main(["rerun", str(folder)]) == 2
    assert "mycells.Leaky" in capfd.readouterr().err
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("RNNEXP_ALLOW", "mycells")
    assert main(["rerun", str(folder)]) == 0
    assert "verdict       identical:" in capfd.readouterr().out
