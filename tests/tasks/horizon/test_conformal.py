"""The conformal adjustment of quantiles."""

import numpy as np
import pytest
import torch

from rnnexp.tasks.horizon.conformal import margins_of, moved

LEVELS = (0.1, 0.5, 0.9)


def test_the_margins_are_the_order_statistics_of_the_distances() -> None:
    """By hand: of 19 distances, ceil(0.9 * 20) = 18 are at most the margin of the upper quantile,
    and floor(0.1 * 20) = 2 at most that of the lower."""
    distance = torch.arange(1.0, 20.0)
    target = distance.view(1, 19) * 2  # the unit is 2, and all quantiles are 0
    margins = margins_of(torch.zeros(1, 19, 3), target, torch.tensor([2.0]), LEVELS)
    assert margins.tolist() == [2.0, 0.0, 18.0]


def test_a_target_that_is_missing_does_not_count() -> None:
    quantiles, unit = torch.zeros(1, 3, 3), torch.ones(1)
    target = torch.tensor([[1.0, torch.nan, 2.0]])
    assert margins_of(quantiles, target, unit, LEVELS).tolist() == [1.0, 0.0, 2.0]
    none = torch.full((1, 3), torch.nan)
    assert margins_of(quantiles, none, unit, LEVELS).tolist() == [0.0, 0.0, 0.0]


def test_quantiles_that_are_too_narrow_come_to_hold() -> None:
    random = np.random.default_rng(0)
    levels = (0.1, 0.3, 0.5, 0.7, 0.9)
    target = torch.from_numpy(random.normal(size=(400, 24)))
    narrow = torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2], dtype=torch.float64).expand(400, 24, 5)
    unit = torch.full((400,), 3.0, dtype=torch.float64)
    margins = margins_of(narrow[:200], target[:200], unit[:200], levels)
    quantiles = moved(narrow[200:], margins, unit[200:], levels)
    share = (target[200:].unsqueeze(-1) <= quantiles).double().mean((0, 1))
    assert share.tolist() == pytest.approx(levels, abs=0.03)


def test_moved_quantiles_do_not_cross_and_the_median_stays() -> None:
    quantiles = torch.randn(50, 4, 3).sort(-1).values
    found = moved(quantiles, torch.tensor([5.0, 0.0, -5.0]), torch.ones(50), LEVELS)
    assert (found.diff(dim=-1) >= 0).all()
    assert torch.equal(found[..., 1], quantiles[..., 1])
