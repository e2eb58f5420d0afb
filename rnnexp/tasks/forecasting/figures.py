"""Figures of a forecasting run."""

import matplotlib.dates
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnexp.callbacks.figures import PREDICTION, SECOND, TARGET, Figures, finish, loss_curve
from rnnexp.files import file_name
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.task import BY_MASE, Forecasting


class ForecastFigures(Figures):
    """loss.png, predictions/SERIES.png and error_by_hour.png, in the run folder.

    stretches: number of excerpts of each series, spread over the test span. days: length of each.
    """

    def __init__(self, days: int = 4, stretches: int = 3) -> None:
        self.days, self.stretches = days, stretches

    def draw(
        self, task: Forecasting, data: ForecastingData, history: pd.DataFrame
    ) -> dict[str, Figure]:
        table = task.predictions_table(data)
        table["timestamp"] = pd.to_datetime(table["timestamp"])
        unit = task.spec.unit
        figures = {"error_by_hour": error_by_hour(table)}
        for name, one in table.groupby("file", sort=False):
            figures[f"predictions/{file_name(str(name))}"] = stretches(
                one, unit, self.days, self.stretches
            )
        if len(history):
            name, label = ("mase", "MASE") if task.monitor == BY_MASE else ("smape", "sMAPE, %")
            figures["loss"] = loss_curve(history, "loss (scaled units)", name, label, "log")
        return figures


def stretches(table: pd.DataFrame, unit: str, days: int, count: int) -> Figure:
    """Predicted and actual values in a few excerpts of one series, spread over its test span.

    table: the rows of one series, in time order.
    """
    figure = Figure(figsize=(4.2 * count, 3.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, count))
    begin, end = table["timestamp"].iloc[0], table["timestamp"].iloc[-1]
    length = pd.Timedelta(days=days)
    room = max(end - begin - length, pd.Timedelta(0))
    for number, axes in enumerate(panels):
        since = begin + room * number / max(count - 1, 1)
        shown = table[table["timestamp"].between(since, since + length)]
        axes.plot(shown["timestamp"], shown["target"], color=TARGET, lw=2, label="actual")
        axes.plot(
            shown["timestamp"], shown["prediction"], color=PREDICTION, lw=1, label="predicted"
        )
        axes.set(ylabel=unit if number == 0 else "", xlabel=f"from {since:%Y-%m-%d}")
        axes.xaxis.set_major_locator(matplotlib.dates.DayLocator())
        axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%a"))
        finish(axes)
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper right", ncols=2, frameon=False)
    figure.suptitle(f"{table['file'].iloc[0]}: one step ahead, test span")
    return figure


def error_by_hour(table: pd.DataFrame) -> Figure:
    """sMAPE by hour of the day, pooled, with each series in the background."""
    percent = 200 * (table["prediction"] - table["target"]).abs()
    percent = percent / (table["prediction"].abs() + table["target"].abs())
    hour = table["timestamp"].dt.hour
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for _, own in percent.groupby(table["file"]):
        by_hour = own.groupby(hour).mean()
        axes.plot(by_hour.index, by_hour, color=SECOND, lw=0.8, alpha=0.35)
    pooled = percent.groupby(hour).mean()
    axes.plot(pooled.index, pooled, "o-", color=PREDICTION, label="all series pooled")
    axes.plot([], [], color=SECOND, lw=0.8, alpha=0.5, label="each series")
    axes.set(
        xlabel="hour of the day", ylabel="sMAPE, %", title="Error by hour of the day, test span"
    )
    axes.set_xticks(range(0, 24, 3))
    axes.legend(frameon=False)
    finish(axes)
    return figure
