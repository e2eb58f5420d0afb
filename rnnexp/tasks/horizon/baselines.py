"""Baselines of the horizon task on any of its windows: seasonal naive forecasts, and ridge."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.source import SeriesSource
from rnnexp.data.series.windows import Store
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import horizon_metrics
from rnnexp.tasks.horizon.windows import HorizonWindows

SEASONS = 7  # seasons in a week of days
LAGS = 168  # most values before the issue time that ridge reads
RIDGE_WINDOWS = 30_000  # most training windows of a series
PENALTY = 1.0
LEAST_WINDOWS = 2  # training windows of a step


def horizon_baselines(data: HorizonData, windows: HorizonWindows) -> dict[str, dict[str, float]]:
    """The metrics of `baseline_forecasts`, pooled over the windows: name -> metric -> value."""
    forecasts = baseline_forecasts(data, windows)
    return {name: pooled_metrics(data, windows, one) for name, one in forecasts.items()}


def baseline_forecasts(data: HorizonData, windows: HorizonWindows) -> dict[str, Tensor]:
    """The forecasts (n, H) of all baselines, in original units.

    naive                the last value, repeated
    seasonal_naive_day   the last season, repeated
    seasonal_naive_week  the last seven seasons, repeated
    ridge                a ridge regression for each series and each step of the horizon: `ridge`

    For steps of a day or more the last season is called `seasonal_naive`, and the weekly baseline
    is left out. So is a rule whose season is longer than what lies before some window.
    """
    source, store = data.source, data.source.store
    issued, steps = windows.start + source.look_back, ahead(source)
    before = history(source, issued)
    rules = {
        name: store.values[earlier(store, issued, length, steps), 0]
        for name, length in _rules(source).items()
        if bool((before >= length).all())
    }
    return rules | {"ridge": ridge(data, windows)}


def _rules(source: SeriesSource) -> dict[str, int]:
    """Name -> how many values before the window are repeated."""
    lengths = {"naive": 1}
    if source.season > 1:
        days = within_a_day(source)
        lengths["seasonal_naive_day" if days else "seasonal_naive"] = source.season
        if days:
            lengths["seasonal_naive_week"] = SEASONS * source.season
    return lengths


# What all baselines share. A position `issued` of the store is that of the step after a window. ---


def ahead(source: SeriesSource) -> Tensor:
    """(H,) int64: how many steps after `issued` the predicted steps lie."""
    return source.issue.lead + torch.arange(source.horizon)


def within_a_day(source: SeriesSource) -> bool:
    return bool(source.step < np.timedelta64(1, "D"))


def asked(data: HorizonData, windows: HorizonWindows) -> slice:
    """Those of the steps that the network predicts which are those of the windows: all but in a
    back-test."""
    first = windows.lead - data.source.issue.lead
    return slice(first, first + windows.horizon)


def targets(data: HorizonData, windows: HorizonWindows) -> Tensor:
    """(n, H) float64, original units; NaN where the data have no value."""
    store = data.source.store
    position = (windows.start + data.source.look_back).unsqueeze(1) + ahead(data.source)
    return torch.where(store.observed[position], store.values[position, 0], torch.nan)


def pooled_metrics(
    data: HorizonData, windows: HorizonWindows, point: Tensor, *quantiles: Any
) -> dict[str, float]:
    """The metrics of forecasts (n, H), of the steps of the windows. quantiles: (n, H, Q), and their
    levels; without them there is no `sql`, which is `mase` for a point forecast."""
    steps, found = asked(data, windows), list(quantiles)
    if found:
        found[0] = found[0][:, steps]
    target = targets(data, windows)[:, steps]
    return horizon_metrics(point[:, steps], target, windows.scale, data.source.unit, *found)


def history(source: SeriesSource, issued: Tensor) -> Tensor:
    """(n,): how many steps a series has before each position `issued` (n,)."""
    return issued - source.store.first[source.store.series_of(issued - 1)]


def training_positions(source: SeriesSource, span: tuple[int, int], most: int) -> Tensor:
    """Positions `issued` (n,) of windows that lie in a training span, at most `most` of them.

    They are equally far apart, by a number of steps that has no divisor in common with seven
    seasons, so that they begin at every hour of every day of the week.
    """
    first, end = span
    first, end = first + source.look_back, end - int(ahead(source)[-1])
    spacing = max(1, math.ceil((end - first) / most))
    while math.gcd(spacing, SEASONS * source.season) > 1:
        spacing += 1
    return torch.arange(first, max(first, end), spacing)


def earlier(store: Store, issued: Tensor, length: int, steps: Tensor) -> Tensor:
    """(n, H): the positions of the `length` values before each position `issued` (n,), repeated, at
    the steps (H,) after it.

    With a time zone, where `length` is whole days: the last ones before `issued` at the same time
    by the clock, unless the series begins after one of them.
    """
    issued = issued.unsqueeze(1)
    by_steps = issued + steps % length - length
    days, rest = divmod(length, store.steps_a_day or length + 1)
    if not store.clock.of_instants or rest:
        return by_steps
    back = (steps // length * days).expand_as(by_steps)
    place = store.same_clock(issued + steps, back)
    while (unknown := place >= issued).any():
        back = torch.where(unknown, back + days, back)
        place = store.same_clock(issued + steps, back)
    return _since_the_first(store, place, by_steps, issued)


def season_before(store: Store, position: Tensor, lag: int, issued: Tensor) -> Tensor:
    """(n, H): the positions `lag` steps before each (n, H); with a time zone whole days by the
    clock, unless the series, of which `issued` (n,) says which it is, begins later."""
    return _since_the_first(store, store.before(position, lag), position - lag, issued.unsqueeze(1))


def _since_the_first(store: Store, place: Tensor, otherwise: Tensor, issued: Tensor) -> Tensor:
    """issued: (n, 1)"""
    return torch.where(place >= store.first[store.series_of(issued - 1)], place, otherwise)


def last_seasons(source: SeriesSource, issued: Tensor, seasons: int) -> Tensor:
    """(n, H): the target's last seasons, repeated; the whole window if it is shorter."""
    length = min(seasons * source.season, source.look_back)
    return source.store.values[earlier(source.store, issued, length, ahead(source)), 0]


# Ridge regression ---------------------------------------------------------------------------------


def ridge(data: HorizonData, windows: HorizonWindows) -> Tensor:
    """Forecasts (n, H) of a ridge regression for each series and each step of the horizon.

    It reads the last values of the window, 168 at most, and the known columns and time features of
    the predicted step. Values and columns are standardised by the training span. It is fitted on
    windows of the training span, all of them or 30,000 that lie equally far apart, as far as the
    step has a value in the data. A series with fewer than two such windows repeats its last season.
    """
    source = data.source
    issued = windows.start + source.look_back
    forecasts = last_seasons(source, issued, 1)
    number = source.store.series_of(windows.start)
    for series, span in enumerate(source.training_spans()):
        training = training_positions(source, span, RIDGE_WINDOWS)
        tested = number == series
        if len(training) >= LEAST_WINDOWS and tested.any():
            inputs = _Inputs(data, span)
            forecasts[tested] = _fitted(inputs, training, issued[tested], forecasts[tested])
    return forecasts


class _Inputs:
    """What ridge reads of one series, standardised by its training span."""

    def __init__(self, data: HorizonData, span: tuple[int, int]) -> None:
        self.source, self.store = data.source, data.source.store
        self.known = data.known
        self.lags = min(LAGS, self.source.look_back)
        trained = self.store.values[slice(*span), [0, *self.known]]
        self.mean = trained.mean(0)
        deviation = trained.std(0)
        self.deviation = torch.where(deviation > 0, deviation, 1.0)

    def before(self, issued: Tensor) -> Tensor:
        """(n, 1 + L): 1, and the last values before each position."""
        last = self.store.values[:, 0].unfold(0, self.lags, 1)[issued - self.lags]
        ones = torch.ones(len(issued), 1, dtype=last.dtype)
        return torch.cat([ones, (last - self.mean[0]) / self.deviation[0]], 1)

    def at(self, position: Tensor) -> Tensor:
        """(n, N + K): known columns and time features of predicted steps."""
        known = self.store.values[position][:, self.known]
        time = self.source.conditioning.encode(self.store.calendar_at(position))
        return torch.cat([(known - self.mean[1:]) / self.deviation[1:], time.double()], 1)

    def target(self, position: Tensor) -> Tensor:
        return (self.store.values[position, 0] - self.mean[0]) / self.deviation[0]


def _fitted(inputs: _Inputs, training: Tensor, issued: Tensor, otherwise: Tensor) -> Tensor:
    """Fit on the windows before the positions `training`, and predict (n, H) from `issued` (n,).

    otherwise: (n, H), the forecasts of a step that has too few values in the data.

    The normal equations are solved here, because the products of the values before the window,
    which are the largest part of them, are the same for all steps.
    """
    forecasts = otherwise.clone()
    before, tested = inputs.before(training), inputs.before(issued)
    products = before.T @ before
    lags = before.shape[1]
    for place, step in enumerate(ahead(inputs.source).tolist()):
        kept = inputs.store.observed[training + step]
        if kept.sum() < LEAST_WINDOWS:
            continue
        x = inputs.at(training + step) * kept.unsqueeze(1)
        y = inputs.target(training + step) * kept
        lost = before[~kept]
        cross = before.T @ x
        normal = torch.cat(
            [
                torch.cat([products - lost.T @ lost, cross], 1),
                torch.cat([cross.T, x.T @ x], 1),
            ]
        )
        normal.diagonal()[1:] += PENALTY  # the constant is not shrunk
        weight = torch.linalg.solve(normal, torch.cat([before.T @ y, x.T @ y]))
        found = tested @ weight[:lags] + inputs.at(issued + step) @ weight[lags:]
        forecasts[:, place] = found * inputs.deviation[0] + inputs.mean[0]
    return forecasts
