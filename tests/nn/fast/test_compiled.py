"""The compiled path against the plain path. Each new shape takes seconds to compile."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnexp.nn import cells, recurrence
from rnnexp.nn.fast import compiled
from rnnexp.nn.fast.compiled import missing_compiler, run_compiled
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features

compiling = pytest.mark.skipif(bool(missing_compiler()), reason="no C++ compiler")

LENGTHS = torch.tensor([5, 3, 1])


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Blocks of 2 steps: of 5 steps, two blocks are compiled, and one step remains. Returns the
    numbers of steps of the compiled blocks."""
    blocks: list[int] = []
    original = compiled._compiled()

    def run(cell: Any, block: Tensor, *rest: Any) -> Any:
        blocks.append(len(block))
        return original(cell, block, *rest)

    monkeypatch.setattr(compiled, "BLOCK_STEPS", 2)
    monkeypatch.setattr(recurrence, "BLOCK_STEPS", 2)
    monkeypatch.setattr(compiled, "_compiled", lambda: run)
    torch.compiler.reset()  # torch stops compiling after some number of shapes
    torch.manual_seed(0)
    return blocks


def outputs_and_gradients(run: Callable[..., Any], cell: Any, x: Features) -> list[Tensor]:
    hidden, final = run(cell, x, True)
    loss = sum((one * (1 + torch.arange(one.numel()).view_as(one) % 7)).sum()
               for one in (hidden, *final))  # fmt: skip
    return [hidden, *final, *torch.autograd.grad(loss, [x.values, *cell.parameters()])]


@compiling
@pytest.mark.parametrize("kind", [cells.MGU, cells.LSTM])
def test_equal_to_the_plain_path(kind: type[cells.Cell], counted: list[int]) -> None:
    cell = kind(4, 5).double()
    for lengths in (None, LENGTHS):
        x = Features(torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True), lengths)
        expected = outputs_and_gradients(run_plain, cell, x)
        found = outputs_and_gradients(run_compiled, cell, x)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
    assert counted == [2] * 4


@compiling
def test_a_recurrence_uses_it_if_requested(counted: list[int]) -> None:
    """Two directions, without gradients, final state only."""
    both_ways = CellRecurrence(cells.MGU, 4, 5, bidirectional=True, path="compiled")
    assert both_ways.path == "compiled"
    x = Features(torch.randn(5, 3, 4), LENGTHS)
    with torch.no_grad():
        hidden, (final,) = both_ways(x, every_step=False)
        both_ways.asked = "fused"
        _, (expected,) = both_ways(x, every_step=False)
    assert counted == [2] * 4 and hidden.shape == (0, 3, 10)
    torch.testing.assert_close(final, expected)
    assert both_ways.path == "fused"


@compiling
def test_few_steps_are_not_compiled(counted: list[int]) -> None:
    one = CellRecurrence(cells.MGU, 4, 5, path="compiled")
    one(Features(torch.randn(1, 3, 4)))
    assert one.path == "fused" and counted == []


def test_without_a_compiler_another_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run trained on another machine can still be tested and used for prediction."""
    monkeypatch.setenv("CXX", "a-compiler-that-is-not-there")
    with pytest.warns(UserWarning, match="path=compiled needs the compiler a-compiler-that"):
        one = CellRecurrence(cells.MGU, 4, 5, path="compiled")
    assert one.path == "fused"
