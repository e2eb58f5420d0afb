"""Figures of a horizon run: fan charts, the error by step, and the calibration."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from rnnexp.callbacks.figures import (
    PREDICTION,
    SECOND,
    TARGET,
    Figures,
    clock_times,
    finish,
    legend_beside,
)
from rnnexp.callbacks.loss_curve import loss_curve
from rnnexp.files import file_name
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import metrics_by_level, metrics_by_step
from rnnexp.tasks.horizon.task import Horizon


class HorizonFigures(Figures):
    """loss.png, forecasts/SERIES.png, error_by_step.png and with quantiles calibration.png, in the
    run folder.

    count: test windows that are drawn of each series, spread over its test span.
    """

    def __init__(self, count: int = 3) -> None:
        self.count = count

    def draw(self, task: Horizon, data: HorizonData, history: pd.DataFrame) -> dict[str, Figure]:
        table = task.predictions_table(data)
        table["timestamp"] = clock_times(table["timestamp"])
        unit, found = task.spec.unit, task.predictions
        figures = {
            f"forecasts/{file_name(str(name))}": fans(one, unit, self.count)
            for name, one in table.groupby("series", sort=False)
        }
        scale = data.windows("test").scale[: len(found["target"])]
        quantiles = found.get("quantiles")
        by_step = metrics_by_step(
            found["prediction"], found["target"], scale, unit, quantiles, task.levels
        )
        figures["error_by_step"] = error_by_step(by_step)
        if quantiles is not None:
            by_level = metrics_by_level(quantiles, found["target"], task.levels, unit)
            figures["calibration"] = calibration(by_level)
        if len(history):
            metric = task.metrics[0].name
            figures["loss"] = loss_curve(
                history, "loss, units of the scale", metric, metric.upper(), "log"
            )
        return figures


def fans(table: pd.DataFrame, unit: str, count: int) -> Figure:
    """The forecasts of a few windows of one series, with their central intervals, and what came.

    table: the rows of one series, in the order of the windows.
    """
    issued = table["issue_time"].unique()
    chosen = issued[np.unique(np.linspace(0, len(issued) - 1, count).round().astype(int))]
    figure = Figure(figsize=(9, 2.6 * len(chosen)), layout="constrained")
    for axes, time in zip(np.atleast_1d(figure.subplots(len(chosen))), chosen, strict=True):
        fan(axes, table[table["issue_time"] == time], unit)
        axes.set_title(f"issued at {time.replace('T', ' ')}", fontsize=9)
    figure.suptitle(str(table["series"].iloc[0]))
    legend_beside(figure)
    return figure


def fan(axes: Axes, table: pd.DataFrame, unit: str) -> None:
    """One forecast. table: its rows."""
    levels = sorted(float(name[1:]) for name in map(str, table) if name.startswith("q0."))
    for level in (level for level in levels if level < 0.5):
        other = next((one for one in levels if abs(one - (1 - level)) < 1e-9), None)
        if other is not None:
            low, high = table[f"q{level:g}"], table[f"q{other:g}"]
            share = f"central {100 * (other - level):.0f} %"
            axes.fill_between(
                table["timestamp"], low, high, color=PREDICTION, alpha=0.18, lw=0, label=share
            )
    axes.plot(table["timestamp"], table["prediction"], color=PREDICTION, lw=1.5, label="forecast")
    axes.plot(table["timestamp"], table["target"], color=TARGET, lw=1.2, label="what came")
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_ylabel(unit or "value")
    finish(axes)


def error_by_step(table: pd.DataFrame) -> Figure:
    """MASE, and with quantiles SQL, by step of the horizon."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("mase", PREDICTION), ("sql", SECOND)):
        if name in table:
            axes.plot(table.index, table[name], ".-", color=colour, label=name.upper())
    axes.set(xlabel="step of the horizon", ylabel="error, in units of the scale")
    axes.set_title("Error by step")
    axes.set_ylim(bottom=0)
    finish(axes)
    legend_beside(figure)
    return figure


def calibration(table: pd.DataFrame) -> Figure:
    """The share of targets at most at each quantile, beside the level: the diagonal is best."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color=TARGET, label="nominal")
    axes.plot(table.index, table["observed"], "o-", color=PREDICTION, label="observed")
    axes.set(xlabel="level of the quantile", ylabel="share of the targets at most there")
    axes.set(title="Calibration", xlim=(0, 1), ylim=(0, 1))
    finish(axes)
    legend_beside(figure)
    return figure
