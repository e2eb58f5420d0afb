"""Baselines of the horizon task: seasonal naive forecasts on the same windows."""

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.windows import Store
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import horizon_metrics


def horizon_baselines(data: HorizonData) -> dict[str, dict[str, float]]:
    """The metrics of all baselines, pooled over the test windows: name -> metric -> value.

    naive                the last value, repeated
    seasonal_naive_day   the last season, repeated
    seasonal_naive_week  the last seven seasons, repeated

    For steps of a day or more the last season is called `seasonal_naive`, and the weekly baseline
    is left out. So is a rule whose season is longer than what lies before some window.
    """
    source, windows = data.source, data.windows("test")
    store, issued = source.store, windows.start + source.look_back
    steps = torch.arange(source.horizon)
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
            repeated(store, issued, length, source.horizon),
            target,
            windows.scale,
            source.unit,
        )
        for name, length in lengths.items()
        if bool((before >= length).all())
    }


def repeated(store: Store, issued: Tensor, length: int, horizon: int) -> Tensor:
    """(n, horizon): the `length` values before each position `issued` (n,), repeated. With a time
    zone, where `length` is whole days, the last known values at the same time by the clock."""
    ahead, issued = torch.arange(horizon), issued.unsqueeze(1)
    place = issued + ahead % length - length
    days, rest = divmod(length, store.steps_a_day or length + 1)
    if store.clock.of_instants and rest == 0:
        back = (ahead // length * days).expand_as(place)
        first, by_steps = store.first[store.series_of(issued - 1)], place
        place = store.same_clock(issued + ahead, back)
        while (unknown := place >= issued).any():
            back = torch.where(unknown, back + days, back)
            place = store.same_clock(issued + ahead, back)
        place = torch.where(place >= first, place, by_steps)
    return store.values[place, 0]
