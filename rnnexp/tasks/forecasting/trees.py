"""Gradient-boosted trees (LightGBM) as further baselines, for those who ask for them."""

import time
from typing import Any

import numpy as np
import torch

from rnnexp.errors import UserError
from rnnexp.process import cores
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.forecasting.baselines import lagged
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.metrics import described, forecast_metrics

TREES: dict[str, Any] = {
    "n_estimators": 400,
    "num_leaves": 63,
    "deterministic": True,
    "random_state": 0,
}
SECONDS = "training_seconds"  # in the cache, beside the metrics
LEAST_WINDOWS = 2  # training windows of a series; LightGBM refuses fewer
# Name -> whether the inputs are differences from the last value.
VARIANTS = {"lightgbm": False, "lightgbm_differences": True}


def require_lightgbm() -> str:
    """LightGBM's version.

    Raises:
        UserError: LightGBM or a library that it needs is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise UserError(
            "LightGBM is not installed: pip install 'rnnexp[lightgbm]', or leave out task.lightgbm "
            "(--lightgbm of a study or a back-test)"
        ) from error
    except OSError as error:  # e.g. without the library of OpenMP
        raise UserError(f"LightGBM is installed but cannot be loaded: {error}") from error
    return str(lightgbm.__version__)


def lightgbm_baselines(data: ForecastingData, cache: BaselineCache) -> dict[str, dict[str, float]]:
    """The metrics of both variants: name -> metric -> value.

    Raises:
        UserError: as for `require_lightgbm`.
    """
    return {variant: lightgbm_metrics(data, variant, cache)[0] for variant in VARIANTS}


def lightgbm_metrics(
    data: ForecastingData, variant: str, cache: BaselineCache | None = None
) -> tuple[dict[str, float], float]:
    """The metrics pooled over the test windows, and the training time in seconds, both from the
    cache if it has them.

    Raises:
        UserError: as for `require_lightgbm`.
    """
    identity = {"variant": variant, "version": require_lightgbm(), **TREES, **data.identity()}

    def compute() -> dict[str, dict[str, float]]:
        prediction, seconds = lightgbm_prediction(data, VARIANTS[variant])
        windows = data.windows("test")
        metrics = forecast_metrics(
            torch.from_numpy(prediction), windows.target, windows.scale, data.source.unit
        )
        return {variant: metrics | {SECONDS: seconds}}

    names = [metric.name for metric in described(data.source.unit)]
    found = (cache or BaselineCache()).get(identity, [*names, SECONDS], compute)[variant]
    return {name: found[name] for name in names}, found[SECONDS]


def lightgbm_prediction(data: ForecastingData, differences: bool) -> tuple[np.ndarray, float]:
    """One model per series, fitted on its training windows; a series with too few of them keeps its
    last value.

    The target is the change from the last value, because trees cannot predict a level outside the
    training data.

    Returns the predictions (n,) for the test windows in original units, and the fitting time in
    seconds.
    """
    from lightgbm import LGBMRegressor

    windows, source = data.windows("test"), data.source
    number = source.store.series_of(windows.start)
    prediction, seconds = np.empty(len(windows)), 0.0
    for series, (first, end) in enumerate(source.training_spans()):
        tested = number == series
        training = torch.arange(first + source.look_back, end)
        training = training[source.store.observed[training]]
        if len(training) < LEAST_WINDOWS:
            following = windows.start[tested] + source.look_back
            prediction[tested.numpy()] = lagged(data, following, 1)
            continue
        inputs, last = _inputs(data, training, differences)
        change = source.store.values[training, 0].numpy() - last
        model = LGBMRegressor(**TREES, n_jobs=cores.free(), verbosity=-1)
        started = time.perf_counter()
        model.fit(inputs, change)
        seconds += time.perf_counter() - started
        inputs, last = _inputs(data, windows.start[tested] + source.look_back, differences)
        prediction[tested.numpy()] = last + np.asarray(model.predict(inputs))
    return prediction, round(seconds, 3)


def _inputs(
    data: ForecastingData, following: torch.Tensor, differences: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A model's inputs before each position (n,), in original units, and the last value there.

    The inputs are the look-back, hour and day of the week and, for steps below a day, last week's
    values y(t-7 season) and y(t-7 season-1): those of the baseline `ridge_week`.
    """
    source = data.source
    start = following - source.look_back
    lags = source.store.values[:, 0].unfold(0, source.look_back, 1)[start].numpy()
    last = lags[:, -1]
    within_a_day = source.step < np.timedelta64(1, "D")
    week = 7 * source.season
    lagged_values = [lagged(data, following, lag) for lag in (week, week + 1) if within_a_day]
    hours = np.column_stack([lags[:, :-1], *lagged_values])
    if differences:
        hours -= last[:, None]
    minute, weekday = source.store.calendar_at(following - 1)[:, :2].numpy().T
    return np.column_stack([hours, last, minute // 60, weekday]), last
