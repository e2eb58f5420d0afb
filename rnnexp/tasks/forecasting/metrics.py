"""Forecasting metrics, in original units; the names of metrics contain the unit."""

import torch
from torch import Tensor
from torchmetrics.functional import (
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    symmetric_mean_absolute_percentage_error,
)

from rnnexp.tasks.metric import Metric


def described(unit: str) -> list[Metric]:
    """The descriptions of the metrics of `forecast_metrics`."""
    suffix = f"_{unit}" if unit else ""
    return [
        Metric("smape", "%", lower_is_better=True),
        Metric("smape_lecture", "%", lower_is_better=True, headline=False),
        Metric(f"mae{suffix}", unit, lower_is_better=True),
        Metric(f"rmse{suffix}", unit, lower_is_better=True),
        Metric("mape", "%", lower_is_better=True),
    ]


def forecast_metrics(prediction: Tensor, target: Tensor, unit: str) -> dict[str, float]:
    """The metrics of predictions P and targets G, both (n,), in original units.

    smape          100/n sum |P - G| / ((|P| + |G|) / 2), percent, 0 to 200; the lecture's formula
                   has |P + G|, which is the same if both are positive
    smape_lecture  smape / 4, which DLStudio's code prints as sMAPE
    mae_UNIT       mean absolute error
    rmse_UNIT      root mean squared error
    mape           100/n sum |P - G| / |G|, percent, over the n windows with G != 0, else nan
    """
    prediction, target = prediction.double(), target.double()
    smape = 100 * symmetric_mean_absolute_percentage_error(prediction, target).item()
    scored = target != 0
    mape = mean_absolute_percentage_error(prediction[scored], target[scored])
    suffix = f"_{unit}" if unit else ""
    return {
        "smape": smape,
        "smape_lecture": smape / 4,
        f"mae{suffix}": mean_absolute_error(prediction, target).item(),
        f"rmse{suffix}": mean_squared_error(prediction, target, squared=False).item(),
        "mape": 100 * mape.item() if scored.any() else torch.nan,
    }


def forecast_metrics_by_series(
    prediction: Tensor, target: Tensor, series: Tensor, names: list[str], unit: str
) -> dict[str, float]:
    """The pooled metrics, and with several series, the metrics of each as `smape/NAME`."""
    metrics = forecast_metrics(prediction, target, unit)
    if len(names) > 1:
        for number, name in enumerate(names):
            own = series == number
            if own.any():
                alone = forecast_metrics(prediction[own], target[own], unit)
                metrics |= {f"{metric}/{name}": value for metric, value in alone.items()}
    return metrics
