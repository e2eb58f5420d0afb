"""Lazy optimisers against torch's on dense gradients: SGD, idle rows, and other parameters."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnnexp.nn.fast.tables import lookup
from rnnexp.optim import idle, rows
from tests.optim.training import (
    SCHEDULES,
    SIZE,
    STEPS,
    VOCABULARY,
    ForgetfulSGD,
    Schedule,
    batches,
    dense,
    difference,
    loss,
    new_table,
    one_step,
    train,
)

pytestmark = pytest.mark.usefixtures("short_blocks")


# SGD --------------------------------------------------------------------------------------------

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "long momentum": {"momentum": 0.99},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "decay": {"weight_decay": 0.01},
    "momentum and decay": {"momentum": 0.9, "weight_decay": 0.01},
    "nesterov and decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "dampening and decay": {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
    "maximize": {"momentum": 0.9, "maximize": True, "lr": 1e-4},
}
TOLERANCES = [(torch.double, 1e-12), (torch.float, 1e-5)]
CASES = [(name, "cosine") for name in SETTINGS] + [
    ("momentum and decay", "constant"),
    ("nesterov and decay", "one cycle"),
]


def compare(
    kind: type[rows.SGD], settings: dict[str, Any], dtype: torch.dtype, schedule: Schedule | None
) -> float:
    """The difference between a table and torch's table after the same training."""
    settings = {"lr": 0.02, **settings}
    ours, theirs = new_table(dtype), new_table(dtype)
    result = train(kind([ours], **settings), ours, lookup, schedule)
    expected = train(torch.optim.SGD([theirs], **settings), theirs, dense, schedule)
    return difference(result, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize(("name", "schedule"), CASES)
def test_sgd(name: str, schedule: str, dtype: torch.dtype, tolerance: float) -> None:
    assert compare(rows.SGD, SETTINGS[name], dtype, SCHEDULES[schedule]) < tolerance


@pytest.mark.parametrize(
    ("name", "schedule"), [case for case in CASES if case[0] not in ("plain", "maximize")]
)
def test_without_catching_up_the_same_test_fails(name: str, schedule: str) -> None:
    assert compare(ForgetfulSGD, SETTINGS[name], torch.double, SCHEDULES[schedule]) > 1e-3


def test_sgd_in_blocks_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert idle.BLOCK_STEPS > STEPS
    settings = SETTINGS["momentum and decay"]
    assert compare(rows.SGD, settings, torch.double, SCHEDULES["cosine"]) < 1e-12


def test_the_state_of_every_row_is_torchs_too() -> None:
    ours, theirs = new_table(), new_table()
    settings = {"lr": 0.02, **SETTINGS["momentum and decay"]}
    optimizer, reference = rows.SGD([ours], **settings), torch.optim.SGD([theirs], **settings)
    train(optimizer, ours, lookup)
    train(reference, theirs, dense)
    momentum = optimizer.state[ours]["momentum_buffer"]
    assert difference(momentum, reference.state[theirs]["momentum_buffer"]) < 1e-12


def test_momentum_that_comes_and_goes() -> None:
    results = []
    for kind, read in ((rows.SGD, lookup), (torch.optim.SGD, dense)):
        table = new_table()
        optimizer = kind([table], lr=0.02, weight_decay=0.01)
        for number, batch in enumerate(batches(90)):
            optimizer.param_groups[0]["momentum"] = 0.9 if number // 30 == 1 else 0.0
            one_step(optimizer, table, read, *batch)
        if isinstance(optimizer, rows.RowOptimizer):
            optimizer.catch_up()
        results.append(table.detach())
    assert difference(*results) < 1e-12


# Idle rows --------------------------------------------------------------------------------------


def test_rows_idle_for_very_long() -> None:
    """Powers of the momentum underflow to zero even in double precision; the result does not."""
    lr, momentum, steps = 0.02, 0.9, 10_000
    table = new_table()
    optimizer = rows.SGD([table], lr=lr, momentum=momentum)
    pushed = torch.tensor([3])
    lookup(table, pushed).sum().backward()  # the gradient is 1
    optimizer.step()
    start = table.detach()[3].clone()
    optimizer.zero_grad(set_to_none=False)  # all gradients are zero
    for _ in range(steps):
        optimizer.step()
    expected = start - lr * momentum / (1 - momentum)
    torch.testing.assert_close(lookup(table, pushed)[0], expected, rtol=1e-13, atol=0)


def test_what_is_kept_does_not_grow_with_the_steps() -> None:
    sizes = []
    for steps in (200, 2000):
        table = new_table()
        optimizer = rows.SGD([table], lr=0.02, momentum=0.9)
        for batch in batches(steps):
            one_step(optimizer, table, lookup, *batch)
        state = optimizer.state_dict()["state"][0]["idle"]
        sizes.append(sum(t.numel() for t in state.values() if isinstance(t, Tensor)))
    assert max(sizes) <= VOCABULARY * 5 + (idle.BLOCK_STEPS + 1) * 4
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("kind", [rows.SGD, rows.Adam])
def test_a_row_that_was_never_touched_keeps_its_bits(kind: type[rows.RowOptimizer]) -> None:
    table = new_table(torch.float)
    before = table.detach().clone()
    optimizer = kind([table], lr=0.02, **({"momentum": 0.9} if kind is rows.SGD else {}))
    train(optimizer, table, lookup)
    touched = torch.cat([words for words, _ in batches(STEPS)]).unique()
    idle_rows = torch.ones(VOCABULARY, dtype=torch.bool).index_fill_(0, touched, False)
    assert 0 < idle_rows.sum() < VOCABULARY
    assert torch.equal(table.detach()[idle_rows], before[idle_rows])
    assert not torch.equal(table.detach(), before)


class LargestResult(TorchDispatchMode):
    """The number of elements of the largest dense tensor that an operation allocates."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {a.data_ptr() for a in args if isinstance(a, Tensor) and not a.is_sparse}
        for out in result if isinstance(result, tuple) else (result,):
            if isinstance(out, Tensor) and not out.is_sparse and out.data_ptr() not in given:
                self.largest = max(self.largest, out.numel())
        return result


@pytest.mark.parametrize(
    "make",
    [
        lambda table: rows.SGD([table], lr=0.02, momentum=0.9, weight_decay=0.01),
        lambda table: rows.AdamW([table], lr=0.02),
    ],
)
def test_nothing_of_the_size_of_the_table_is_computed(
    make: Callable[[nn.Parameter], rows.RowOptimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    table = nn.Parameter(torch.zeros(1000, SIZE, dtype=torch.double))
    optimizer = make(table)
    one_step(optimizer, table, lookup, *next(batches(1)))  # allocates the state of the optimiser
    with LargestResult() as seen:
        for batch in batches(20):
            one_step(optimizer, table, lookup, *batch)
    assert 0 < seen.largest < 1000
    with seen:
        optimizer.catch_up()
    assert seen.largest >= 1000  # the measurement detects large tensors


# Everything else --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reference", "settings"),
    [
        (rows.SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (rows.SGD, torch.optim.SGD, {"momentum": 0.9, "fused": True}),
        (rows.Adam, torch.optim.Adam, {"weight_decay": 0.01}),
        (rows.AdamW, torch.optim.AdamW, {"foreach": True}),
    ],
)
def test_parameters_that_are_no_tables_have_torchs_bits(
    kind: Any, reference: Any, settings: dict[str, Any]
) -> None:
    weights = []
    for make, read in ((kind, lookup), (reference, dense)):
        table = nn.Parameter(torch.ones(5, SIZE))
        table.requires_grad_(settings.get("weight_decay") is None or make is not rows.Adam)
        weight = new_table(torch.float)
        optimizer = make([table, weight], lr=0.01, **settings)
        for words, target in batches(100):
            optimizer.zero_grad()
            # The table is part of the step, but does not affect the gradient of the weight.
            (loss(dense(weight, words), target) + read(table, words % 5).sum()).backward()
            optimizer.step()
        weights.append(weight.detach())
    assert torch.equal(*weights)
