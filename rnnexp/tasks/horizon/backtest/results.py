"""The metrics, tables and figures of a back-test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits
from torch import Tensor

from rnnexp.callbacks.figures import clock_times
from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.calendar.frequency import DAY
from rnnexp.files import file_name
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.horizon import figures
from rnnexp.tasks.horizon.backtest.plan import Plan
from rnnexp.tasks.horizon.baselines import asked, horizon_baselines
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import (
    horizon_metrics,
    horizon_metrics_by_series,
    metrics_by_group,
    metrics_by_level,
    metrics_by_step,
)
from rnnexp.tasks.horizon.task import Horizon
from rnnexp.tasks.horizon.windows import HorizonWindows

FANS = 3  # forecasts that are drawn of each series


def joined(parts: list[dict[str, Tensor]], plan: Plan, data: HorizonData) -> dict[str, Tensor]:
    """The predictions of all folds, in the order of the windows of the plan, of the steps that were
    asked for. parts: those of each fold, of all steps that its network predicts."""
    steps = asked(data, plan.windows)
    found = {}
    for name, example in parts[0].items():
        shape = (len(plan.windows), plan.settings.horizon, *example.shape[2:])
        found[name] = torch.empty(shape, dtype=example.dtype)
        for fold, part in zip(plan.folds, parts, strict=True):
            found[name][fold.chosen] = part[name][:, steps]
    return found


class Results:
    """What a back-test has found. task: its `predictions` are those of the windows of the plan."""

    def __init__(self, task: Horizon, data: HorizonData, plan: Plan) -> None:
        self.task, self.data, self.plan = task, data, plan
        found, scale = task.predictions, plan.windows.scale
        self.unit, self.series = task.spec.unit, data.source.store.series_of(plan.windows.start)
        self._measured = (found["prediction"], found["target"], scale)
        self._more = (found.get("quantiles"), task.levels)

    def metrics(self) -> dict[str, float]:
        """The metrics of all windows, and with several series those of each as `mase/NAME`."""
        names = self.task.spec.series
        return horizon_metrics_by_series(
            *self._measured, self.series, names, self.unit, *self._more
        )

    def forecasts(self) -> pd.DataFrame:
        """backtest.csv: a row for every step of every forecast."""
        fold = np.empty(len(self.plan.windows), dtype=int)
        for one in self.plan.folds:
            fold[one.chosen.numpy()] = one.number
        table = self.task.predictions_table(self.data, self.plan.windows)
        return table.assign(fold=np.repeat(fold, self.plan.settings.horizon))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The metrics by step of the horizon, by series, and, where there are several, by hour of
        the day and by fold: name of the file -> table."""
        found = {"by_step": self.by_step().reset_index()}
        if self._has_hours:
            found["by_hour"] = self.by_hour().reset_index()
        names = self.task.spec.series
        rows = [
            {"series": names[one], **self._metrics(self.series == one)}
            for one in self.series.unique().tolist()
        ]
        found["by_series"] = pd.DataFrame(rows)
        if self.plan.settings.refit is not None:
            found["by_fold"] = pd.DataFrame(
                [
                    {
                        "fold": fold.number,
                        "until": self.data.source.clock.iso(fold.until),
                        **self._metrics(fold.chosen),
                    }
                    for fold in self.plan.folds
                    if fold.until is not None
                ]
            )
        return found

    def by_step(self) -> pd.DataFrame:
        return metrics_by_step(*self._measured, self.unit, *self._more)

    def by_hour(self) -> pd.DataFrame:
        """The metrics of the steps of each hour of the day: index `hour`, 0 to 23."""
        time = self.data.source.clock.local(self.data.times(self.plan.windows))
        hour = (time - time.astype("datetime64[D]")) // np.timedelta64(1, "h")
        group = torch.from_numpy(hour.astype(np.int64))
        return metrics_by_group(group, "hour", *self._measured, self.unit, *self._more)

    def figures(self) -> dict[str, Figure]:
        """error_by_step, error_by_hour, calibration and forecasts/SERIES."""
        table = self.task.predictions_table(self.data, self.plan.windows)
        table["timestamp"] = clock_times(table["timestamp"])
        found = {"error_by_step": figures.error_by_step(self.by_step())}
        if self._has_hours:
            found["error_by_hour"] = figures.error_by_hour(self.by_hour())
        quantiles, levels = self._more
        if quantiles is not None:
            by_level = metrics_by_level(quantiles, self._measured[1], levels, self.unit)
            found["calibration"] = figures.calibration(by_level, self.by_step())
        for name, one in table.groupby("series", sort=False):
            found[f"forecasts/{file_name(str(name))}"] = figures.fans(one, self.unit, FANS)
        return found

    def _metrics(self, chosen: Tensor) -> dict[str, float]:
        prediction, target, scale = (one[chosen] for one in self._measured)
        quantiles, levels = self._more
        cut = None if quantiles is None else quantiles[chosen]
        return horizon_metrics(prediction, target, scale, self.unit, cut, levels)

    @property
    def _has_hours(self) -> bool:
        return bool(self.data.source.step < DAY)


def described(plan: Plan, clock: Clock) -> dict[str, Any]:
    """The settings, the issue times by a clock, and the folds, for backtest.json."""
    return {
        "steps": plan.settings.plain(),
        "forecasts": len(plan.windows),
        "issue_times": clock.text(np.unique(plan.issued)).tolist(),
        "issue_times_left_out": plan.left_out,
        "folds": [
            {
                "fold": fold.number,
                "until": None if fold.until is None else clock.iso(fold.until),
                "first_issue_time": clock.iso(fold.first),
                "last_issue_time": clock.iso(fold.last),
                "forecasts": int(fold.chosen.sum()),
            }
            for fold in plan.folds
        ],
    }


def baselines(
    task: Horizon,
    data: HorizonData,
    windows: HorizonWindows,
    cache: BaselineCache,
    libraries: Sequence[str] = (),
) -> dict[str, float]:
    """The metrics of the baselines on some windows: `baseline/naive/mase` -> value. They are fitted
    once, on the training span of the run.

    libraries: whose baselines are computed too.
    """
    names = [metric.name for metric in task.baseline_metrics]
    with threadpool_limits(torch.get_num_threads()):

        def compute() -> dict[str, dict[str, float]]:
            return horizon_baselines(data, windows)

        # Nobody knows what the baselines on the data of a class of the user's own depend on.
        is_ours = type(data) is HorizonData
        found = cache.get(data.identity(windows), names, compute) if is_ours else compute()
        found = found | task.baselines_by(libraries, data, windows, cache)
    return {
        f"baseline/{name}/{metric}": value
        for name, metrics in found.items()
        for metric, value in metrics.items()
    }
