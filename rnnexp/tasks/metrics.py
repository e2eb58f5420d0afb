"""Metrics. Those of forecasts are in original units, and a metric has its unit in its name; those
of classifications are fractions from 0 to 1."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional import (
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    symmetric_mean_absolute_percentage_error,
)
from torchmetrics.functional.classification import multiclass_f1_score


def forecast_metrics(prediction: Tensor, target: Tensor, unit: str) -> dict[str, float]:
    """prediction, target: (n,), in original units, pooled over all windows given.

    smape          100/n sum |P - G| / ((|P| + |G|) / 2), percent, 0 to 200; the lecture's formula
                   has |P + G|, which is the same wherever both are positive
    smape_lecture  a quarter of it: what DLStudio's code prints under that name
    mae_UNIT       mean absolute error
    rmse_UNIT      root of the mean squared error
    mape           100/n sum |P - G| / |G|, percent, over the windows whose target is not zero
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
    """The pooled metrics, and each of them for every series alone as `smape/NAME`."""
    metrics = forecast_metrics(prediction, target, unit)
    if len(names) > 1:
        for number, name in enumerate(names):
            own = series == number
            if own.any():
                alone = forecast_metrics(prediction[own], target[own], unit)
                metrics |= {f"{metric}/{name}": value for metric, value in alone.items()}
    return metrics


def classification_metrics(
    log_probability: Tensor, target: Tensor, classes: Sequence[str]
) -> dict[str, float]:
    """log_probability: (n, C), target: (n,) class numbers, classes: their C names.

    accuracy           share of the documents whose likeliest class is the right one
    balanced_accuracy  the mean over the classes in `target` of the share of each that is right
    macro_f1           the mean of F1 over the classes in `target` or among the likeliest ones
    top3_accuracy      share whose right class is among the three likeliest; with over 3 classes
    nll                the mean negative log-likelihood of the right class, in nats
    recall/CLASS       the share of each class that is right, if any of it is in `target`
    """
    log_probability = log_probability.double()
    prediction = log_probability.argmax(1)
    correct = (prediction == target).double()
    recall = {number: correct[target == number].mean() for number in target.unique().tolist()}
    metrics = {
        "accuracy": correct.mean(),
        "balanced_accuracy": torch.stack(list(recall.values())).mean(),
        "macro_f1": multiclass_f1_score(prediction, target, len(classes), average="macro"),
    }
    if len(classes) > 3:
        likeliest = log_probability.topk(3, dim=1).indices
        metrics["top3_accuracy"] = (likeliest == target.unsqueeze(1)).any(1).double().mean()
    metrics["nll"] = functional.nll_loss(log_probability, target)
    metrics |= {f"recall/{classes[number]}": share for number, share in recall.items()}
    return {name: float(value) for name, value in metrics.items()}
