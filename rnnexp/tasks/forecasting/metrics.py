"""Forecasting metrics, in original units; the names of metrics contain the unit."""

import torch
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error

from rnnexp.tasks.metric import Metric


def described(unit: str, by_mase: bool = False) -> list[Metric]:
    """The descriptions of the metrics of `forecast_metrics`. by_mase: whether runs are compared by
    MASE, which then comes first and stands in the tables of results."""
    suffix = f"_{unit}" if unit else ""
    mase = Metric("mase", "", lower_is_better=True, headline=by_mase)
    others = [
        Metric("smape", "%", lower_is_better=True),
        Metric("smape_lecture", "%", lower_is_better=True, headline=False),
        Metric(f"mae{suffix}", unit, lower_is_better=True),
        Metric(f"rmse{suffix}", unit, lower_is_better=True),
        Metric("mape", "%", lower_is_better=True),
    ]
    return [mase, *others] if by_mase else [*others, mase]


def forecast_metrics(
    prediction: Tensor, target: Tensor, scale: Tensor, unit: str
) -> dict[str, float]:
    """The metrics of predictions P and targets G, both (n,), in original units.

    scale: (n,), the mean of |y(t) - y(t-season)| over all that lies before the evaluated span of
    the series of each window (`rnnexp.data.series.windows.seasonal_change`).

    smape          100/n sum |P - G| / ((|P| + |G|) / 2), percent, 0 to 200; the lecture's formula
                   has |P + G|, which is the same if both are positive
    smape_lecture  smape / 4, which DLStudio's code prints as sMAPE
    mae_UNIT       mean absolute error
    rmse_UNIT      root mean squared error
    mape           100/n sum |P - G| / |G|, percent, over the n windows with G != 0, else nan
    mase           1/n sum |P - G| / scale, over the n windows with a scale above 0, else nan
    """
    prediction, target = prediction.double(), target.double()
    # torchmetrics' sMAPE and MAPE raise denominators to 1e-6, which small units have as values.
    error, size = (prediction - target).abs(), prediction.abs() + target.abs()
    smape = 200 * torch.where(size == 0, 0.0, error / size).mean().item()
    mape = 100 * (error / target.abs())[target != 0].mean().item()
    mase = (error / scale)[scale > 0].mean().item()
    suffix = f"_{unit}" if unit else ""
    return {
        "smape": smape,
        "smape_lecture": smape / 4,
        f"mae{suffix}": mean_absolute_error(prediction, target).item(),
        f"rmse{suffix}": mean_squared_error(prediction, target, squared=False).item(),
        "mape": mape,
        "mase": mase,
    }


def forecast_metrics_by_series(
    prediction: Tensor,
    target: Tensor,
    scale: Tensor,
    series: Tensor,
    names: list[str],
    unit: str,
) -> dict[str, float]:
    """The pooled metrics, and with several series, the metrics of each as `smape/NAME`."""
    metrics = forecast_metrics(prediction, target, scale, unit)
    if len(names) > 1:
        for number, name in enumerate(names):
            own = series == number
            if own.any():
                alone = forecast_metrics(prediction[own], target[own], scale[own], unit)
                metrics |= {f"{metric}/{name}": value for metric, value in alone.items()}
    return metrics
