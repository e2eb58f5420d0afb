"""The steps in C++ against the plain path: values, gradients, padding, threads."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnexp.nn.cell import Cell
from rnnexp.nn.cells import LSTM, MGU, LiGRU, Linear, TEXTnetOrder2, Vanilla
from rnnexp.nn.fast import choices
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.native.build import why_not
from rnnexp.nn.fast.native.loop import FUNCTIONS, run_native
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features, OneHot, Sequences

pytestmark = pytest.mark.skipif(bool(why_not()), reason="no C++ compiler")

STEPS = 7
every_cell = pytest.mark.parametrize("kind", KERNELS)
# Three blocks of steps, and two groups of more than six sequences.
TUNING = replace(choices.tuning_of("MGU"), group_sequences=6, block_rows=18)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def drawn(cell: Any) -> Any:
    """Weights that are large enough for every gate to affect the result."""
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(std=0.7 if parameter.numel() < 1000 else 0.1)
    return cell.double()


def features(batch: int, size: int = 6, lengths: Tensor | None = None) -> Features:
    values = torch.randn(STEPS, batch, size, dtype=torch.float64, requires_grad=True)
    return Features(values, lengths)


def gradients(run: Any, cell: Cell, x: Sequences, every_step: bool = True) -> list[Tensor]:
    """The outputs, and the gradients of a random linear function of all of them."""
    hidden, final = run(cell, x, every_step)
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (one * torch.randn(one.shape, generator=generator, dtype=one.dtype)).sum()
        for one in (hidden, *final)
    )
    inputs = [x.values] if x.values.is_floating_point() else []
    return [hidden, *final, *torch.autograd.grad(loss, [*inputs, *cell.parameters()])]


def native(cell: Cell, x: Sequences, every_step: bool = True) -> Any:
    return run_native(cell, x, every_step, TUNING)


def test_every_kernel_has_its_steps() -> None:
    assert set(FUNCTIONS) == set(KERNELS.values())


# One hidden unit more or less than a vector, and more than a tile.
@every_cell
@pytest.mark.parametrize("hidden", [1, 15, 33, 300])
@pytest.mark.parametrize("batch", [1, 5, 17])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
@pytest.mark.parametrize("every_step", [False, True])
def test_equal_to_the_plain_path(
    kind: type[Cell], hidden: int, batch: int, padded: bool, every_step: bool
) -> None:
    cell = drawn(kind(6, hidden))
    x = features(batch, lengths=torch.randint(STEPS + 1, (batch,)) if padded else None)
    expected = gradients(run_plain, cell, x, every_step)
    found = gradients(native, cell, x, every_step)
    assert len(found[0]) == (STEPS if every_step else 0)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        hidden_states, final = native(cell, x, every_step)
    for one, other in zip([hidden_states, *final], found, strict=False):
        assert torch.equal(one, other)


@every_cell
def test_single_precision(kind: type[Cell]) -> None:
    cell, lengths = kind(6, 20), torch.tensor([7, 3, 1, 5, 5])
    x = Features(torch.randn(STEPS, 5, 6, requires_grad=True), lengths)
    for one, other in zip(gradients(native, cell, x), gradients(run_plain, cell, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@every_cell
def test_one_hot_words(kind: type[Cell]) -> None:
    cell, x = drawn(kind(9, 20)), OneHot(torch.randint(9, (STEPS, 5)))
    for one, other in zip(gradients(native, cell, x), gradients(run_plain, cell, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@every_cell
def test_gradients_by_finite_differences(kind: type[Cell]) -> None:
    cell, x = drawn(kind(3, 5)), features(3, 3)

    def outputs(values: Tensor) -> tuple[Tensor, ...]:
        hidden, final = native(cell, Features(values))
        return hidden, *final

    assert torch.autograd.gradcheck(outputs, x.values, rtol=1e-5, atol=1e-7)


def test_second_derivatives() -> None:
    """They are those of the plain path."""
    cell, x = drawn(MGU(3, 4)), features(2, 3)
    found = []
    for run in (native, run_plain):
        _, (last,) = run(cell, x, False)
        (first,) = torch.autograd.grad(last.square().sum(), x.values, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), cell.U_h)[0])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


# Columns of several threads, and rows of several.
@every_cell
@pytest.mark.parametrize(("batch", "hidden"), [(1, 400), (3, 300), (17, 20)])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_the_number_of_threads_changes_nothing(
    kind: type[Cell], batch: int, hidden: int, padded: bool
) -> None:
    """A sum is taken in the same order, whichever thread takes it; and the plain path agrees."""
    cell, lengths = drawn(kind(9, hidden)), torch.randint(STEPS + 1, (batch,))
    x = OneHot(torch.randint(9, (STEPS, batch)), lengths if padded else None)
    before, found = torch.get_num_threads(), list[list[Tensor]]()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            hidden_states, final = native(cell, x)
            found.append([hidden_states, *final])
            gradients_found = gradients(native, cell, x)
            for one, other in zip(gradients_found, gradients(run_plain, cell, x), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    finally:
        torch.set_num_threads(before)
    for outputs in found[1:]:
        assert all(map(torch.equal, found[0], outputs))


def test_gradients_of_any_layout() -> None:
    """Of a sum, whose gradient is one number seen many times, and of a transposed state."""
    cell, x = drawn(LSTM(6, 9)), features(5)
    weight = torch.randn(9, 5, dtype=torch.float64)
    found = []
    for run in (native, run_plain):
        hidden, (last, c) = run(cell, x, True)
        loss = hidden.sum() + (last.t() * weight).sum() + c.sum()
        found.append(torch.autograd.grad(loss, [x.values, *cell.parameters()]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_and_sigma_are_accurate(dtype: torch.dtype) -> None:
    """To a few units in the last place, also near 0; infinite arguments have limits, and NaN stays
    NaN."""
    values = torch.cat([torch.linspace(-30, 30, 2001), torch.logspace(-8, 0, 500)]).to(dtype)
    special = torch.tensor([float("inf"), -float("inf"), 1000.0, -1000.0], dtype=dtype)
    values = torch.cat([values, special])
    cell = Vanilla(1, len(values)).to(dtype)
    order2 = TEXTnetOrder2(1, len(values), tanh=False).to(dtype)
    with torch.no_grad():
        for one in (*cell.parameters(), *order2.parameters()):
            one.zero_()
        cell.bias.copy_(values)
        order2.b_c.copy_(values)
        x = Features(torch.zeros(1, 1, 1, dtype=dtype))
        (tanh,), (_, sigma, _) = native(cell, x)[1], native(order2, x)[1]
        cell.bias[0] = float("nan")
        (with_nan,) = native(cell, x)[1]
    last_place = torch.finfo(dtype).eps
    torch.testing.assert_close(tanh[0], values.tanh(), rtol=4 * last_place, atol=1e-37)
    torch.testing.assert_close(sigma[0], values.sigmoid(), rtol=4 * last_place, atol=1e-37)
    assert with_nan[0, 0].isnan() and torch.equal(with_nan[0, 1:], tanh[0, 1:])


def test_a_recurrence_takes_it_if_asked() -> None:
    """Stacked and in both directions. What has no kernel runs on the plain path."""
    x = Features(torch.randn(STEPS, 3, 4), torch.tensor([7, 2, 5]))
    one = CellRecurrence(Linear, 4, 5, num_layers=2, bidirectional=True, path="native")
    assert one.path == "native"
    hidden, _ = one(x)
    one.asked = "plain"
    torch.testing.assert_close(hidden, one(x)[0])
    assert one.used == {"native", "plain"}
    other = CellRecurrence(LiGRU, 4, 5, path="native")
    other(x)
    assert other.path == "plain"
    with torch.autocast("cpu", torch.bfloat16):
        one.asked = "native"
        one(x)
    assert one.path == "plain"


def test_tensors_that_do_not_belong_together() -> None:
    """C++ would read them as something else."""
    cell: Any = MGU(4, 5).double()
    cell.U_h = torch.nn.Parameter(cell.U_h.detach().float())
    with pytest.raises(TypeError, match=r"MGUKernel has tensors of torch.float64 on cpu and of"):
        native(cell, features(3, 4))


def test_weights_of_any_layout() -> None:
    """Every second row and column of a larger tensor."""
    cell, x = drawn(Vanilla(6, 9)), features(5)
    expected = gradients(run_plain, cell, x)
    wide = torch.zeros(18, 18, dtype=torch.float64)
    wide[::2, ::2] = cell.U.detach()
    cell.U = torch.nn.Parameter(wide[::2, ::2])
    assert 1 not in cell.U.stride()
    for one, other in zip(gradients(native, cell, x), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_nothing_to_run() -> None:
    cell = MGU(4, 5)
    for steps, batch in ((0, 3), (4, 0)):
        hidden, (final,) = native(cell, Features(torch.randn(steps, batch, 4)))
        assert hidden.shape == (steps, batch, 5) and torch.equal(final, torch.zeros(batch, 5))
