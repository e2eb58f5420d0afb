"""Baselines of the horizon task: seasonal naive forecasts on the same windows."""

import numpy as np
import torch
from torch import Tensor

from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import horizon_metrics
from rnnexp.tasks.horizon.windows import HorizonWindows


def horizon_baselines(data: HorizonData, windows: HorizonWindows) -> dict[str, dict[str, float]]:
    """The metrics of all baselines, pooled over the windows: name -> metric -> value.

    naive                the last value, repeated
    seasonal_naive_day   the last season, repeated
    seasonal_naive_week  the last seven seasons, repeated

    For steps of a day or more the last season is called `seasonal_naive`, and the weekly baseline
    is left out. So is a rule whose season is longer than what lies before some window.
    """
    source = data.source
    store, issued = source.store, windows.start + source.look_back
    steps = windows.lead + torch.arange(windows.horizon)
    position = issued.unsqueeze(1) + steps
    target = torch.where(store.observed[position], store.values[position, 0], torch.nan)
    within_a_day = source.step < np.timedelta64(1, "D")
    lengths = {"naive": 1}
    if source.season > 1:
        lengths["seasonal_naive_day" if within_a_day else "seasonal_naive"] = source.season
        if within_a_day:
            lengths["seasonal_naive_week"] = 7 * source.season
    before = issued - store.first[store.series_of(issued - 1)]
    return {
        name: horizon_metrics(
            repeated(store.values[:, 0], issued, length, steps),
            target,
            windows.scale,
            source.unit,
        )
        for name, length in lengths.items()
        if bool((before >= length).all())
    }


def repeated(values: Tensor, issued: Tensor, length: int, steps: Tensor) -> Tensor:
    """(n, H): the `length` values before each position `issued` (n,), repeated, at the steps (H,)
    after it."""
    return values[issued.unsqueeze(1) + steps % length - length]
