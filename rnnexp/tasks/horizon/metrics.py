"""Metrics of forecasts over a horizon, in original units; the names of metrics contain the unit.

n windows of H steps: point forecasts P (n, H), quantile forecasts (n, H, Q) of Q levels l, and
targets G (n, H), NaN where there is no target. A window's scale (n,) is the mean of
|y(t) - y(t-season)| over all that lies before the window, as of MASE.

A metric is the mean over the steps of each window, then the mean over the windows, so that every
window counts alike. With complete windows this is the mean over all steps, and the average over
windows of fev-bench (github.com/autogluon/fev). A step without a target is left out, and so is a
window without any; a forecast that is NaN is not: it makes the metric NaN.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from rnnexp.tasks.horizon.losses import quantile_loss
from rnnexp.tasks.metric import Metric

INTERVALS = (50, 80, 90)  # percent, the central intervals that are evaluated
TOLERANCE = 1e-6  # between a level and the end of an interval


class Term(NamedTuple):
    """What a metric is the mean of: values (n, H), and which of them count, bool (n, H)."""

    values: Tensor
    counted: Tensor


def described(unit: str, levels: Sequence[float] = ()) -> list[Metric]:
    """The descriptions of the metrics of `horizon_metrics`. The first one compares runs: `sql`, or
    `mase` without quantiles.

    The best coverage is the nominal one, neither the lowest nor the highest: no run should be
    chosen by it.
    """
    suffix = _suffix(unit)
    point = [
        Metric("mase", "", lower_is_better=True),
        Metric("smape", "%", lower_is_better=True),
        Metric(f"mae{suffix}", unit, lower_is_better=True),
        Metric(f"rmse{suffix}", unit, lower_is_better=True),
    ]
    if not levels:
        return point
    intervals = _intervals(levels)
    return [
        Metric("sql", "", lower_is_better=True),
        *point,
        Metric("wql", "", lower_is_better=True),
        *(Metric(f"coverage_{share}", "", lower_is_better=False) for share in intervals),
        Metric(f"pinball{suffix}", unit, lower_is_better=True, headline=False),
        *(
            Metric(f"width_{share}{suffix}", unit, lower_is_better=True, headline=False)
            for share in intervals
        ),
    ]


def horizon_metrics(
    prediction: Tensor,
    target: Tensor,
    scale: Tensor,
    unit: str,
    quantiles: Tensor | None = None,
    levels: Sequence[float] = (),
) -> dict[str, float]:
    """The metrics of n windows, in original units; NaN where no window counts.

    mase           mean of |P - G| / scale, over the windows with a scale above 0
    smape          mean of |P - G| / ((|P| + |G|) / 2), percent, 0 to 200; 0 where both are 0
    mae_UNIT       mean absolute error
    rmse_UNIT      square root of the mean squared error

    and with quantiles:

    sql            scaled quantile loss: twice the pinball loss, mean over the levels, / scale, over
                   the windows with a scale above 0; of a point forecast at all levels it is `mase`
    wql            weighted quantile loss: twice the sum of the pinball loss over the steps of a
                   window, mean over the levels, / sum |G|, over the windows with a target that is
                   not 0. (fev-bench divides by a mean |G| of at least 1, and pools several series.)
    pinball_UNIT   pinball loss, mean over the levels
    coverage_80    share of targets within the central 80 % interval, its ends included, if `levels`
                   has 0.1 and 0.9; 50 and 90 likewise
    width_80_UNIT  mean width of this interval
    """
    terms = _terms(prediction, target, scale, unit, quantiles, levels)
    error = prediction.double() - target.double()
    squared = Term(error**2, ~target.isnan())
    metrics = {name: _over_windows(term) for name, term in terms.items()}
    metrics[f"rmse{_suffix(unit)}"] = math.sqrt(_over_windows(squared))
    if quantiles is not None:
        metrics["wql"] = _weighted_quantile_loss(quantiles, target, levels)
    order = [metric.name for metric in described(unit, () if quantiles is None else levels)]
    return {name: metrics[name] for name in order}


def horizon_metrics_by_series(
    prediction: Tensor,
    target: Tensor,
    scale: Tensor,
    series: Tensor,
    names: Sequence[str],
    unit: str,
    quantiles: Tensor | None = None,
    levels: Sequence[float] = (),
) -> dict[str, float]:
    """The pooled metrics, and with several series, the metrics of each as `mase/NAME`.

    series: (n,) int64, the index in `names` of the series of each window.
    """
    metrics = horizon_metrics(prediction, target, scale, unit, quantiles, levels)
    if len(names) > 1:
        for number, name in enumerate(names):
            own = series == number
            if own.any():
                cut = None if quantiles is None else quantiles[own]
                alone = horizon_metrics(prediction[own], target[own], scale[own], unit, cut, levels)
                metrics |= {f"{metric}/{name}": value for metric, value in alone.items()}
    return metrics


def metrics_by_step(
    prediction: Tensor,
    target: Tensor,
    scale: Tensor,
    unit: str,
    quantiles: Tensor | None = None,
    levels: Sequence[float] = (),
) -> pd.DataFrame:
    """The metrics of each step of the horizon: index `step` 1 .. H, and a column for each metric
    that is a mean over steps (all but rmse and wql).

    A step is averaged over the windows that have a target there; NaN if none has.
    """
    terms = _terms(prediction, target, scale, unit, quantiles, levels)
    columns = {name: _mean(term, dim=0).numpy() for name, term in terms.items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(1, target.shape[1] + 1, name="step"))


def metrics_by_group(
    group: Tensor,
    name: str,
    prediction: Tensor,
    target: Tensor,
    scale: Tensor,
    unit: str,
    quantiles: Tensor | None = None,
    levels: Sequence[float] = (),
) -> pd.DataFrame:
    """The metrics of groups of steps, e.g. of each hour of the day: index `name`, the groups,
    ascending, and the columns of `metrics_by_step`.

    group: (n, H) int64, the group of each step. A group is averaged over its steps with a target.
    """
    terms = _terms(prediction, target, scale, unit, quantiles, levels)
    groups = group.unique()
    members = [group == one for one in groups]
    columns = {
        metric: [float(_mean(Term(values[own], counted[own]), dim=0)) for own in members]
        for metric, (values, counted) in terms.items()
    }
    return pd.DataFrame(columns, index=pd.Index(groups.numpy(), name=name))


def metrics_by_level(
    quantiles: Tensor, target: Tensor, levels: Sequence[float], unit: str
) -> pd.DataFrame:
    """For a calibration table: index `level`, and the columns `observed`, the share of targets that
    are at most the quantile, and `pinball_UNIT`, its pinball loss."""
    quantiles, target = quantiles.double(), target.double()
    known = ~target.isnan()
    losses = quantile_loss(quantiles, target, levels)
    rows = [
        {
            "observed": _over_windows(Term(_share(target <= quantile, quantile), known)),
            f"pinball{_suffix(unit)}": _over_windows(Term(loss, known)),
        }
        for quantile, loss in zip(quantiles.unbind(-1), losses.unbind(-1), strict=True)
    ]
    return pd.DataFrame(rows, index=pd.Index(list(levels), name="level"))


def _terms(
    prediction: Tensor,
    target: Tensor,
    scale: Tensor,
    unit: str,
    quantiles: Tensor | None,
    levels: Sequence[float],
) -> Mapping[str, Term]:
    """Name -> the values whose mean is the metric."""
    prediction, target = prediction.double(), target.double()
    suffix, scale = _suffix(unit), scale.double().unsqueeze(1)
    known = ~target.isnan()
    scaled = known & (scale > 0)  # False where the scale is NaN
    error, size = (prediction - target).abs(), prediction.abs() + target.abs()
    terms = {
        "mase": Term(error / scale, scaled),
        "smape": Term(200 * torch.where(size == 0, 0.0, error / size), known),
        f"mae{suffix}": Term(error, known),
    }
    if quantiles is None:
        return terms
    quantiles = quantiles.double()
    loss = quantile_loss(quantiles, target, levels).mean(-1)
    terms["sql"] = Term(2 * loss / scale, scaled)
    terms[f"pinball{suffix}"] = Term(loss, known)
    for share, (low, high) in _intervals(levels).items():
        lower, upper = quantiles[..., low], quantiles[..., high]
        inside = (lower <= target) & (target <= upper)
        terms[f"coverage_{share}"] = Term(_share(inside, lower, upper), known)
        terms[f"width_{share}{suffix}"] = Term(upper - lower, known)
    return terms


def _weighted_quantile_loss(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> float:
    target = target.double()
    known = ~target.isnan()
    loss = quantile_loss(quantiles.double(), target, levels).mean(-1)
    total = torch.where(known, loss, 0.0).sum(1)
    size = torch.where(known, target.abs(), 0.0).sum(1)
    return (2 * total / size)[size > 0].mean().item()


def _intervals(levels: Sequence[float]) -> dict[int, tuple[int, int]]:
    """Percent -> the indices of the lower and the upper level, if both are there."""
    found = {}
    for share in INTERVALS:
        low, high = _index(levels, 0.5 - share / 200), _index(levels, 0.5 + share / 200)
        if low is not None and high is not None:
            found[share] = (low, high)
    return found


def _index(levels: Sequence[float], level: float) -> int | None:
    near = (i for i, one in enumerate(levels) if math.isclose(one, level, abs_tol=TOLERANCE))
    return next(near, None)


def _share(holds: Tensor, *forecasts: Tensor) -> Tensor:
    """1 where it holds and 0 where not, NaN where a forecast is NaN."""
    wrong = torch.stack([forecast.isnan() for forecast in forecasts]).any(0)
    return torch.where(wrong, torch.nan, holds.double())


def _mean(term: Term, dim: int) -> Tensor:
    """The mean of the values that count along a dimension; NaN where none does."""
    return torch.where(term.counted, term.values, 0.0).sum(dim) / term.counted.sum(dim)


def _over_windows(term: Term) -> float:
    return _mean(term, dim=1)[term.counted.any(1)].mean().item()


def _suffix(unit: str) -> str:
    return f"_{unit}" if unit else ""
