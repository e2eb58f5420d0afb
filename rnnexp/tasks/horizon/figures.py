"""Figures of a horizon run: fan charts, the error by step, and the calibration."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from rnnexp.callbacks.figures import (
    PREDICTION,
    SECOND,
    TARGET,
    Figures,
    Outcome,
    clock_times,
    finish,
    legend_beside,
    no_math,
    tick_dates,
)
from rnnexp.callbacks.loss_curve import loss_curve
from rnnexp.files import file_name
from rnnexp.tasks.horizon.forecasts import levels_of, short_issue_time
from rnnexp.tasks.horizon.metrics import metrics_by_level, metrics_by_step

MOST_PANELS = 12  # series that are drawn below one another


class HorizonFigures(Figures):
    """loss.png, forecasts/SERIES.png, error_by_step.png and with quantiles calibration.png, in the
    run folder.

    count: test windows that are drawn of each series, spread over its test span.
    """

    def __init__(self, count: int = 3) -> None:
        self.count = count

    def draw(self, outcome: Outcome) -> dict[str, Figure]:
        table, history, unit = outcome.predictions, outcome.history, outcome.spec.unit
        table = table.assign(timestamp=clock_times(table["timestamp"]))
        figures = {
            f"forecasts/{file_name(str(name))}": fans(one, unit, self.count)
            for name, one in table.groupby("series", sort=False)
        }
        target, prediction, scale, quantiles = _by_window(table, outcome.spec.horizon)
        levels = levels_of(table)
        by_step = metrics_by_step(prediction, target, scale, unit, quantiles, levels)
        figures["error_by_step"] = error_by_step(by_step)
        if quantiles is not None:
            by_level = metrics_by_level(quantiles, target, levels, unit)
            figures["calibration"] = calibration(by_level, by_step)
        if len(history):
            metric = "sql" if levels else "mase"
            figures["loss"] = loss_curve(
                history, "loss, units of the scale", metric, metric.upper(), "log"
            )
        return figures


def _by_window(table: pd.DataFrame, horizon: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Targets and predictions (n, H), scales (n,) and quantiles (n, H, Q) of predictions.csv."""

    def columns(*names: str) -> Tensor:
        return torch.tensor(table[list(names)].to_numpy(float)).view(-1, horizon, len(names))

    names = [f"q{level:g}" for level in levels_of(table)]
    target, prediction, scale = columns("target", "prediction", "scale").unbind(-1)
    return target, prediction, scale[:, 0], columns(*names) if names else None


def fans(table: pd.DataFrame, unit: str, count: int) -> Figure:
    """The forecasts of a few windows of one series, with their central intervals, and what came.

    table: the rows of one series, in the order of the windows.
    """
    issued = table["issue_time"].unique()
    chosen = issued[np.unique(np.linspace(0, len(issued) - 1, count).round().astype(int))]
    figure = Figure(figsize=(9, 2.6 * len(chosen)), layout="constrained")
    for axes, time in zip(np.atleast_1d(figure.subplots(len(chosen))), chosen, strict=True):
        fan(axes, table[table["issue_time"] == time], unit)
        axes.set_title(f"issued at {time.replace('T', ' ')}", fontsize="small")
    figure.suptitle(no_math(str(table["series"].iloc[0])))
    legend_beside(figure)
    return figure


def fan(axes: Axes, table: pd.DataFrame, unit: str) -> None:
    """One forecast, and what came, if the table has a `target`. table: its rows."""
    levels = levels_of(table)
    alone = "." if len(table) == 1 else ""  # a line of one point is not seen
    for depth, level in enumerate((level for level in levels if level < 0.5), start=1):
        other = next((one for one in levels if abs(one - (1 - level)) < 1e-9), None)
        if other is not None:
            low, high = table[f"q{level:g}"], table[f"q{other:g}"]
            share = f"central {100 * (other - level):.0f} %"
            colour = _lighter(PREDICTION, 1 - 0.8**depth)  # as in the legend
            axes.fill_between(table["timestamp"], low, high, color=colour, lw=0, label=share)
    time = table["timestamp"]
    axes.plot(time, table["prediction"], alone, color=PREDICTION, lw=1.5, label="forecast")
    if "target" in table:
        axes.plot(time, table["target"], alone, color=TARGET, lw=1.2, label="what came")
    tick_dates(axes, 7)
    axes.set_ylabel(no_math(unit) or "value")
    finish(axes)


def _lighter(colour: str, share: float) -> tuple[float, ...]:
    """A colour mixed with white, of which it has the rest."""
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))


def fan_charts(table: pd.DataFrame, history: Mapping[str, pd.Series], unit: str) -> Figure:
    """The forecast of each series, at most MOST_PANELS of them, and what came before its issue
    time.

    table: the rows of `HorizonForecasts`. history: values by their times, for each series.
    """
    series = list(table.groupby("series", sort=False))
    shown = series[:MOST_PANELS]
    figure = Figure(figsize=(10, 1.2 + 2.6 * len(shown)), layout="constrained")
    for axes, (name, own) in zip(np.atleast_1d(figure.subplots(len(shown))), shown, strict=True):
        before, issued = history[str(name)], clock_times(own["issue_time"]).iloc[0]
        axes.plot(before.index, before, color=TARGET, lw=1.2, label="history")
        fan(axes, own.assign(timestamp=clock_times(own["timestamp"])), unit)
        axes.axvline(issued, color=TARGET, ls="--", lw=1, label="issue time")
        title = f"{no_math(str(name))}, issued at {short_issue_time(own)}"
        axes.set_title(title, fontsize="medium")
    if len(shown) < len(series):
        figure.suptitle(f"the first {len(shown)} of {len(series):,} series")
    legend_beside(figure)
    return figure


def error_by_step(table: pd.DataFrame) -> Figure:
    """MASE, and with quantiles SQL, by step of the horizon."""
    return _error_by(table, "step", "step of the horizon")


def error_by_hour(table: pd.DataFrame) -> Figure:
    """MASE, and with quantiles SQL, by hour of the day of the predicted step."""
    return _error_by(table, "hour of the day", "hour of the day of the predicted step")


def _error_by(table: pd.DataFrame, title: str, label: str) -> Figure:
    """table: indexed by what stands on the horizontal axis."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("mase", PREDICTION), ("sql", SECOND)):
        if name in table:
            axes.plot(table.index, table[name], ".-", color=colour, label=name.upper())
    axes.set(xlabel=label, ylabel="error, in units of the scale")
    axes.set_title(f"Error by {title}")
    axes.set_ylim(bottom=0)
    finish(axes)
    legend_beside(figure)
    return figure


def calibration(by_level: pd.DataFrame, by_step: pd.DataFrame) -> Figure:
    """The share of targets at most at each quantile, beside the level: the diagonal is best. And
    the share within the central intervals by step of the horizon: the dotted lines are best."""
    shares = [int(name[9:]) for name in map(str, by_step) if name.startswith("coverage_")]
    figure = Figure(figsize=(10 if shares else 5, 4), layout="constrained")
    axes, *others = np.atleast_1d(figure.subplots(1, 1 + bool(shares)))
    axes.plot([0, 1], [0, 1], ":", color=TARGET, label="nominal")
    axes.plot(by_level.index, by_level["observed"], "o-", color=PREDICTION, label="observed")
    axes.set(xlabel="level of the quantile", ylabel="share of the targets at most there")
    axes.set(title="Calibration", xlim=(0, 1), ylim=(0, 1))
    finish(axes)
    for axes in others:
        for share, colour in zip(shares, (PREDICTION, SECOND, TARGET), strict=False):
            label = f"central {share} %"
            covered = by_step[f"coverage_{share}"]
            axes.plot(by_step.index, covered, ".-", color=colour, label=label)
            axes.axhline(share / 100, ls=":", color=colour)
        axes.set(xlabel="step of the horizon", ylabel="share of the targets inside")
        axes.set(title="Coverage by step", ylim=(0, 1.02))
        finish(axes)
    legend_beside(figure)
    return figure
