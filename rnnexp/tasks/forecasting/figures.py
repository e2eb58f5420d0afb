"""Figures of a forecasting run."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, DayLocator
from matplotlib.figure import Figure

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
from rnnexp.tasks.forecasting.cycles import cycle_of, usual_step
from rnnexp.tasks.forecasting.task import BY_MASE

LEAST_STEPS = 60  # of an excerpt
WEEK = pd.Timedelta(days=8)  # up to this long, an axis of time has a tick a day


class ForecastFigures(Figures):
    """loss.png, predictions/SERIES.png and error_by_hour.png (error_by_weekday.png of daily series,
    error_by_month.png of slower ones, none of yearly ones), in the run folder.

    stretches: number of excerpts of each series, spread over the test span; a short span is shown
    whole. days: length of each, and at least 60 steps.
    """

    def __init__(self, days: int = 4, stretches: int = 3) -> None:
        self.days, self.stretches = days, stretches

    def draw(self, outcome: Outcome) -> dict[str, Figure]:
        table, history, unit = outcome.predictions, outcome.history, outcome.spec.unit
        table = table.assign(timestamp=clock_times(table["timestamp"]))
        figures = {}
        for name, one in table.groupby("file", sort=False):
            figures[f"predictions/{file_name(str(name))}"] = stretches(
                one, unit, self.days, self.stretches
            )
        by_mase = outcome.monitor == BY_MASE  # sMAPE says nothing of values around 0
        figures |= error_by_cycle(table, unit if by_mase else None)
        if len(history):
            loss = f"loss ({outcome.loss}), scaled units"
            metric, label = ("mase", "MASE") if by_mase else ("smape", "sMAPE, %")
            figures["loss"] = loss_curve(history, loss, metric, label, "log")
        return figures


def stretches(table: pd.DataFrame, unit: str, days: int, count: int) -> Figure:
    """Predicted and actual values in a few excerpts of one series, spread over its test span, and
    below them the error of the prediction, on one scale.

    table: the rows of one series, in time order.
    """
    time = table["timestamp"]
    length = max(pd.Timedelta(days=days), LEAST_STEPS * usual_step(time))
    begin, end = time.iloc[0], time.iloc[-1]
    room = end - begin - length
    whole = room <= (count - 1) * length
    if whole:
        length, room, count = end - begin, pd.Timedelta(0), 1
    figure = Figure(figsize=(10 if whole else 2 + 4 * count, 4.8), layout="constrained")
    panels = figure.subplots(
        2, count, sharex="col", sharey="row", height_ratios=[2.2, 1], squeeze=False
    )
    for number, (above, below) in enumerate(panels.T):
        since = begin + room * number / max(count - 1, 1)
        shown = table[time.between(since, since + length)]
        _draw_stretch(above, below, shown)
        _tick_dates(below, length)
        until = f" to {end:%Y-%m-%d}" if whole else ""
        below.set_xlabel(f"from {since:%Y-%m-%d}{until}")
    unit = no_math(unit)
    panels[0, 0].set_ylabel(unit or "value")
    panels[1, 0].set_ylabel(f"error, {unit}" if unit else "error")
    part = "the whole test span" if whole else f"{count} excerpts of the test span"
    figure.suptitle(f"{no_math(table['file'].iloc[0])}: one step ahead, {part}")
    legend_beside(figure)
    return figure


def _draw_stretch(above: Axes, below: Axes, shown: pd.DataFrame) -> None:
    time, error = shown["timestamp"], shown["prediction"] - shown["target"]
    line = ".-" if len(shown) <= LEAST_STEPS else "-"
    above.plot(time, shown["target"], color=TARGET, lw=2.5, alpha=0.6, label="actual")
    above.plot(time, shown["prediction"], line, color=PREDICTION, lw=1, label="predicted")
    below.axhline(0, color=TARGET, lw=1)
    below.fill_between(time, error, color=SECOND, alpha=0.3)
    below.plot(time, error, line, color=SECOND, lw=1, label="predicted - actual")
    finish(above)
    finish(below)


def _tick_dates(axes: Axes, length: pd.Timedelta) -> None:
    if length <= WEEK:
        axes.xaxis.set_major_locator(DayLocator())
        axes.xaxis.set_major_formatter(DateFormatter("%a"))
    else:
        tick_dates(axes, 8)


def error_by_cycle(table: pd.DataFrame, unit: str | None = None) -> dict[str, Figure]:
    """The sMAPE by hour of the day, weekday or month, whichever the steps have, pooled and of each
    series; the figure by its name. None where the test span has fewer than two of them.

    table: rows of one or many series. unit: of the mean absolute error, which is shown in the place
    of the sMAPE; None: the sMAPE is shown.
    """
    cycle = cycle_of(usual_step(table["timestamp"].where(table["file"] == table["file"].iloc[0])))
    if cycle is None:
        return {}
    place = cycle.places(table["timestamp"])
    if place.nunique() < 2:
        return {}
    error = (table["prediction"] - table["target"]).abs()
    measure = "mean absolute error" + (f", {no_math(unit)}" if unit else "")
    if unit is None:
        error = 200 * error / (table["prediction"].abs() + table["target"].abs())
        measure = "sMAPE, %"
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    names = list(table["file"].unique())
    if len(names) > 1:
        for number, (_, own) in enumerate(error.groupby(table["file"])):
            by_place = own.groupby(place).mean()
            label = "each series" if number == 0 else None
            axes.plot(by_place.index, by_place, color=SECOND, lw=0.8, alpha=0.5, label=label)
    pooled = error.groupby(place).mean()
    label = f"all {len(names)} series pooled" if len(names) > 1 else "mean"
    axes.plot(pooled.index, pooled, "o-", color=PREDICTION, label=label)
    whose = f"{len(names)} series" if len(names) > 1 else no_math(names[0])
    least = f"{place.value_counts().min():,} predictions or more to a point"
    axes.set(
        xlabel=cycle.label,
        ylabel=measure,
        title=f"{whose}: error by {cycle.label}, test span\n({least})",
    )
    axes.set_xticks(list(cycle.ticks), list(cycle.ticks.values()))
    axes.set_xlim(cycle.first - 0.5, cycle.last + 0.5)
    axes.set_ylim(bottom=0)
    legend_beside(figure)
    finish(axes)
    return {f"error_by_{cycle.name}": figure}
