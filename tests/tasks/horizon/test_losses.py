"""The pinball loss: against scoringrules, and its gradient."""

import math

import pytest
import torch

from rnnexp.tasks.horizon.losses import pinball

LEVELS = [0.1, 0.5, 0.8]


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantiles (4, 5, 3), targets (4, 5) and weights (4, 5)."""
    generator = torch.Generator().manual_seed(0)
    quantiles = torch.randn(4, 5, 3, generator=generator, dtype=torch.float64)
    target = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    return quantiles, target, torch.rand(4, 5, generator=generator) > 0.3


def test_against_scoringrules() -> None:
    theirs = pytest.importorskip("scoringrules", reason="scoringrules is not installed")
    quantiles, target, weight = example()
    scores = [
        theirs.quantile_score(target[weight].numpy(), quantiles[weight][:, i].numpy(), level)
        for i, level in enumerate(LEVELS)
    ]
    expected = sum(score.mean() for score in scores) / len(LEVELS)
    assert pinball(quantiles, target, LEVELS, weight).item() == pytest.approx(expected, rel=1e-12)


def test_gradient() -> None:
    quantiles, target, weight = example()
    quantiles.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: pinball(q, target, LEVELS, weight), quantiles)
    pinball(quantiles, target, LEVELS, weight).backward()
    assert quantiles.grad is not None
    # Below a target the slope is -l, above it 1 - l.
    slope = torch.where(quantiles < target[..., None], 0.0, 1.0) - torch.tensor(LEVELS).double()
    expected = slope / (weight.sum() * len(LEVELS)) * weight[..., None]
    torch.testing.assert_close(quantiles.grad, expected)


def test_a_missing_target_touches_neither_loss_nor_gradient() -> None:
    quantiles, target, weight = example()
    whole = pinball(quantiles, target, LEVELS, weight)
    quantiles.requires_grad_()
    loss = pinball(quantiles, target.masked_fill(~weight, math.nan), LEVELS, weight)
    assert loss.item() == whole.item()
    loss.backward()
    assert quantiles.grad is not None and quantiles.grad.isfinite().all()
    assert (quantiles.grad[~weight] == 0).all()


def test_without_a_target_the_loss_is_zero() -> None:
    quantiles, target, weight = example()
    quantiles.requires_grad_()
    loss = pinball(quantiles, target, LEVELS, torch.zeros_like(weight))
    loss.backward()
    assert loss.item() == 0
    assert quantiles.grad is not None and (quantiles.grad == 0).all()


def test_its_minimum_is_the_quantile() -> None:
    values = torch.arange(1.0, 11).unsqueeze(1)  # (10, 1)
    best = []
    for i in range(len(LEVELS)):
        grid = torch.linspace(0, 11, 111)
        losses = [
            pinball(torch.full((10, 1, 1), q), values, LEVELS[i : i + 1], values > 0).item()
            for q in grid.tolist()
        ]
        best.append(grid[int(torch.tensor(losses).argmin())].item())
    for level, found in zip(LEVELS, best, strict=True):
        assert 10 * level - 1e-4 <= found <= 10 * level + 1 + 1e-4
