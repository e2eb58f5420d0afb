"""Lazy Adam and AdamW against torch's optimisers on dense gradients."""

from typing import Any

import pytest
import torch
from torch.optim import Optimizer

from rnnexp.nn.fast.tables import lookup
from rnnexp.optim import rows
from tests.optim.training import (
    SCHEDULES,
    SIZE,
    ForgetfulAdam,
    Schedule,
    batches,
    dense,
    difference,
    new_table,
    one_step,
    train,
)

pytestmark = pytest.mark.usefixtures("short_blocks")


def compare_adam(
    kind: type[rows.AdamRows],
    reference: type[Optimizer],
    schedule: Schedule | None,
    **settings: Any,
) -> float:
    ours, theirs = new_table(), new_table()
    result = train(kind([ours], **settings), ours, lookup, schedule)
    expected = train(reference([theirs], **settings), theirs, dense, schedule)
    return difference(result, expected)


ADAMS = [
    (rows.Adam, torch.optim.Adam, {}, "constant"),
    (rows.Adam, torch.optim.Adam, {"betas": (0.0, 0.99)}, "cosine"),
    (rows.AdamW, torch.optim.AdamW, {"weight_decay": 0.05}, "one cycle"),
]


@pytest.mark.parametrize(("kind", "reference", "settings", "schedule"), ADAMS)
def test_adam_is_torchs_if_eps_is_negligible(
    kind: type[rows.AdamRows], reference: type[Optimizer], settings: Any, schedule: str
) -> None:
    chosen = SCHEDULES[schedule]
    settings = {"lr": 0.01, "eps": 1e-30, **settings}
    assert compare_adam(kind, reference, chosen, **settings) < 1e-11


def test_adam_differs_from_torchs_by_the_effect_of_eps() -> None:
    """Gradients are about 1: the difference is much smaller and grows with eps."""
    small, larger = (
        compare_adam(rows.Adam, torch.optim.Adam, None, lr=0.01, eps=eps) for eps in (1e-8, 1e-4)
    )
    assert 1e-12 < small < 1e-6 < larger


def test_without_catching_up_adam_is_not_torchs() -> None:
    assert compare_adam(ForgetfulAdam, torch.optim.Adam, None, lr=0.01, eps=1e-30) > 1e-3


@pytest.mark.parametrize("used", [1, 5])
@pytest.mark.parametrize("eps", [1e-4, 0.1])
def test_bound_on_the_error_from_eps(eps: float, used: int) -> None:
    """As in the docstring: the first idle step is exact, later steps have a bounded error."""
    ours, theirs = new_table(), new_table()
    optimizer = rows.Adam([ours], lr=0.01, eps=eps)
    reference = torch.optim.Adam([theirs], lr=0.01, eps=eps)
    word, others = torch.tensor([7]), torch.tensor([3])
    target = torch.zeros(1, SIZE, dtype=torch.double)
    for _ in range(used):
        one_step(optimizer, ours, lookup, word, target)
        one_step(reference, theirs, dense, word, target)
    assert difference(lookup(ours, word), theirs[word]) < 1e-14
    start = theirs[word].detach()
    v = reference.state[theirs]["exp_avg_sq"][word].clone()
    bound = 2 * eps / (v / (1 - 0.999 ** (used + 1))).sqrt()
    for idle_steps in range(1, 100):
        one_step(optimizer, ours, lookup, others, target)
        one_step(reference, theirs, dense, others, target)
        error = (lookup(ours, word) - theirs[word]).abs()
        moved = (theirs[word] - start).abs()
        if idle_steps == 1:
            assert (error < 1e-14 * theirs[word].abs()).all()
        assert (error < bound * moved).all()
    assert (error > 1e-7 * moved).all()  # not exact


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (rows.Adam, {"weight_decay": 0.1}, r"weight_decay=0\.1 of Adam .*: use AdamW"),
        (rows.AdamW, {"amsgrad": True}, r"amsgrad=True .*: set it to False"),
        (rows.Adam, {"betas": (0.99, 0.9)}, r"betas=\(0\.99, 0\.9\): the first must be below"),
    ],
)
def test_settings_that_do_not_allow_lazy_updates(kind: Any, settings: Any, message: str) -> None:
    """They raise in the first step and in `check_tables`."""
    table = new_table()
    optimizer = kind([table], **settings)
    with pytest.raises(ValueError, match=message):
        one_step(optimizer, table, lookup, *next(batches(1)))
    with pytest.raises(ValueError, match=message):
        optimizer.check_tables()


@pytest.mark.parametrize("kind", [rows.SGD, rows.Adam, rows.AdamW])
def test_other_settings_are_accepted(kind: Any) -> None:
    kind([new_table()], lr=0.1).check_tables()
