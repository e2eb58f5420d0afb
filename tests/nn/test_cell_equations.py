"""Cells against scalar loops over their equations."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rnnexp.nn.cell import Cell
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
from tests.nn.running import KINDS, copy, states_of

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
    """Weights of a cell as lists: `W[n]`, `b[n]` of input projection n, `U[n]` of block n of U."""

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
    """The equations shared by MGU and its variants."""
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
    """Every entry of every state of a sequence, with random weights and statistics."""
    assert kind in EQUATIONS, f"write the equations of {kind.__name__} by hand in EQUATIONS"
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
    """One unit, one step from h = 0.5: the gate in the candidate, and which state f weights."""
    cell = MGU(1, 1).double()
    copy({cell.input_weight: torch.tensor([[1.0, 2.0]]), cell.bias: torch.tensor([-1.0, -2.0])})
    copy({cell.U_f: torch.tensor(3.0), cell.U_h: torch.tensor(4.0)})
    x = torch.tensor([[0.2 * 1.0 - 1.0, 0.2 * 2.0 - 2.0]], dtype=torch.float64)
    (h,) = cell(x, (torch.tensor([[0.5]], dtype=torch.float64),))
    f = 1 / (1 + math.exp(-(0.2 - 1.0 + 1.5)))  # 0.6681877721681662
    candidate = math.tanh(0.4 - 2.0 + 4 * f * 0.5)
    assert h.item() == pytest.approx((1 - f) * 0.5 + f * candidate, rel=1e-12)
    assert h.item() == pytest.approx(-0.00627416293, rel=1e-8)


def parameters(kind: Callable[..., nn.Module]) -> int:
    return sum(parameter.numel() for parameter in kind(5, 256).parameters())


def test_numbers_of_parameters() -> None:
    """I = 5, H = 256, as published for MGU and its variants; torch's layers have two biases."""
    of_torch = {kind: parameters(kind) for kind in (nn.RNN, nn.GRU, nn.LSTM)}
    published = {
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
        LiGRU: (5 + 256) * 512 + 2 * 512,  # gain and bias of BN
        MinGRU: 5 * 512 + 512,
    }
    assert {kind: parameters(kind) for kind in published} == published
