"""Forecasting baselines: rules without parameters, and ridge regression."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from rnnexp.data.series.windows import Windows
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.metrics import forecast_metrics
from rnnexp.tasks.metric import NONE_ADDED, AddedMetrics


def forecasting_baselines(
    data: ForecastingData, added: AddedMetrics = NONE_ADDED
) -> dict[str, dict[str, float]]:
    """The metrics of all baselines, pooled over the test windows: name -> metric -> value.

    naive                  y(t-1)
    seasonal_naive_day     y(t-season), the same hour yesterday
    seasonal_naive_week    y(t-7 season), the same hour last week
    naive_seasonal_change  naive + seasonal change: y(t-1) + y(t-season) - y(t-season-1)
    ridge                  ridge regression on the look-back window, one model per series
    ridge_week             ridge with y(t-7 season), y(t-7 season-1), hour and weekday added

    For steps of a day or more, y(t-season) is called `seasonal_naive`, and the weekly baselines are
    left out. A rule falls back to the naive forecast if the series has too little history, and
    ridge regression if the training span is too short.
    """
    windows = data.windows("test")
    following = windows.start + data.source.look_back
    within_a_day = data.source.step < np.timedelta64(1, "D")
    seasonal = "seasonal_naive_day" if within_a_day else "seasonal_naive"
    season = data.source.season
    predictions = {"naive": lagged(data, following, 1)}
    if season > 1:
        predictions[seasonal] = lagged(data, following, season)
        if within_a_day:
            predictions["seasonal_naive_week"] = lagged(data, following, 7 * season)
        predictions["naive_seasonal_change"] = (
            predictions["naive"] + predictions[seasonal] - lagged(data, following, season + 1)
        )
    predictions["ridge"] = _ridge(data, windows, week=False)
    if within_a_day:
        predictions["ridge_week"] = _ridge(data, windows, week=True)
    forecasts = {name: torch.from_numpy(one) for name, one in predictions.items()}
    target, scale, unit = windows.target, windows.scale, data.source.unit
    return {
        name: forecast_metrics(one, target, scale, unit) | added(one, target)
        for name, one in forecasts.items()
    }


def lagged(data: ForecastingData, following: torch.Tensor, lag: int) -> np.ndarray:
    """float64 (n,): the value `lag` steps before each store position `following` (n,), with a time
    zone whole days by the clock; the last value if the series does not reach back so far."""
    store = data.source.store
    before, first = store.before(following, lag), store.first[store.series_of(following - 1)]
    return store.values[torch.where(before >= first, before, following - 1), 0].numpy()


def _ridge(data: ForecastingData, windows: Windows, week: bool) -> np.ndarray:
    """Predictions (n,) of one ridge regression per series, fitted on its training windows."""
    prediction = np.empty(len(windows))
    number = data.source.store.series_of(windows.start).numpy()
    for series, (first, end) in enumerate(data.source.training_spans()):
        tested = number == series
        following = windows.start[tested] + data.source.look_back
        training = torch.arange(first + data.source.look_back, end)
        training = training[data.source.store.observed[training]]
        if len(training) < 2:
            prediction[tested] = lagged(data, following, 1)
            continue
        # Loads range from 500 to 25,000 MW: standardised, all series can share one penalty.
        span = data.source.store.values[first:end, 0]
        mean, deviation = span.mean().item(), span.std().item()
        target = data.source.store.values[training, 0].numpy()
        model = Ridge(alpha=1.0)
        model.fit(_ridge_inputs(data, training, week, mean, deviation), (target - mean) / deviation)
        standardized = model.predict(_ridge_inputs(data, following, week, mean, deviation))
        prediction[tested] = standardized * deviation + mean
    return prediction


def _ridge_inputs(
    data: ForecastingData, following: torch.Tensor, week: bool, mean: float, deviation: float
) -> np.ndarray:
    start = following - data.source.look_back
    lags = data.source.store.values[:, 0].unfold(0, data.source.look_back, 1)[start].numpy()
    columns = [(lags - mean) / deviation]
    if week:
        for lag in (7 * data.source.season, 7 * data.source.season + 1):
            columns.append(((lagged(data, following, lag) - mean) / deviation)[:, None])
        calendar = data.source.store.calendar_at(following - 1).long()
        columns.append(np.eye(24)[calendar[:, 0] // 60])
        columns.append(np.eye(7)[calendar[:, 1]])
    return np.concatenate(columns, axis=1)
