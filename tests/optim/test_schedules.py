"""Schedules against torch's schedules and against values computed by hand."""

import pytest
import torch

from rnnexp.optim.schedules import Cosine, OneCycle


def rates(schedule: type, steps: int, **settings: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = schedule(optimizer, steps=steps, **settings)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_one_cycle_has_the_shape_of_torchs() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=1000, div_factor=25, final_div_factor=1e4
    )
    expected = []
    for _ in range(1000):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step() if len(expected) < 1000 else None
    ours = rates(OneCycle, 1000)
    assert ours == pytest.approx(expected, abs=0.003)  # torch's phases end one step earlier
    assert max(ours) == pytest.approx(0.5) and ours[0] == pytest.approx(0.02)


def test_one_cycle_survives_a_single_step() -> None:
    assert len(rates(OneCycle, 1)) == 1


def test_cosine_falls_to_its_end() -> None:
    seen = rates(Cosine, 100, end=0.1)
    assert seen[0] == pytest.approx(0.5) and seen[50] == pytest.approx(0.275)
    assert seen[-1] == pytest.approx(0.05, abs=0.001)
    assert seen == sorted(seen, reverse=True)
