"""The learning curves of many runs: a line for each setting, with a band over its seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnexp.callbacks.figures import finish, legend_beside, no_math
from rnnexp.errors import UserError
from rnnexp.runs.comparison.leaderboard import Entry, ranked
from rnnexp.runs.comparison.leaderboard_texts import key_columns, short_names
from rnnexp.runs.folder.reading import read_history

# Of Okabe and Ito, which colour-blind people tell apart too; dashes tell lines apart in grey print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("solid", "dashed", "dashdot", "dotted", "solid", "dashed", "dashdot")
OTHERS = "#c8c8c8"


@dataclass(frozen=True)
class Curve:
    """The runs of one setting. seeds: one history for each (`read_history`)."""

    label: str
    seeds: list[pd.DataFrame]

    def values(self, column: str) -> np.ndarray:
        """(seeds, epochs), up to the epoch that all seeds reached."""
        epochs = min(map(len, self.seeds))
        return np.stack([one[column].to_numpy(float)[:epochs] for one in self.seeds])


def learning_curves(entries: Sequence[Entry]) -> Figure:
    """Training loss and monitored metric by epoch, of all completed runs on the same data.

    A line is the mean over the seeds of a setting, its band goes from the lowest to the highest.
    Beyond as many settings as there are colours, the best have one.

    Raises:
        UserError: no run is completed, or a history.csv is missing or damaged.
    """
    done = [entry for entry in entries if entry.status == "completed"]
    if not done:
        raise UserError("none of these runs is completed, so there is no learning curve")
    curves = curves_of(done)
    column = monitored(done, curves)
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = [("train/loss", "training loss")]
    panels += [(column, _label(column, done[0].units))] if column else []
    for axes, (name, label) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        _draw(axes, curves, name)
        axes.set(xlabel="epoch", ylabel=no_math(label))
        finish(axes)
    legend_beside(figure)
    seeds = {len(curve.seeds) for curve in curves}
    if seeds != {1}:
        many = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
        figure.suptitle(f"mean of {many} seeds; the band goes from the lowest to the highest")
    return figure


def _label(column: str, units: Mapping[str, str]) -> str:
    """A validation metric with its unit. units: metric -> unit."""
    name = column.removeprefix("val/")
    unit = units.get(name, "")
    name = name.removesuffix(f"_{unit}").replace("_", " ")
    return f"validation {name}, {unit}" if unit else f"validation {name}"


def curves_of(entries: Sequence[Entry]) -> list[Curve]:
    """Completed runs on the same data by setting, best first as in the leaderboard. Of several with
    the same seed, only the last one counts."""
    ((table, groups),) = ranked(list(entries)).values()
    short = short_names([key for key in key_columns(table) if key != "name"])
    several = len({entry.config.get("name") for entry in entries}) > 1
    curves = []
    for group in groups:
        runs = {entry.seed: entry for entry in group}
        shown = next(iter(runs.values())).shown
        named = [f"{short[key]}={shown[key]}" for key in short if key in shown]
        name = [str(shown.get("name", ""))] if several or not named else []
        histories = [read_history(one.folder) for one in runs.values()]
        curves.append(Curve(", ".join([*name, *named]), histories))
    return curves


def monitored(entries: Sequence[Entry], curves: Sequence[Curve]) -> str | None:
    """The metric that all runs monitored, else their validation loss; None where they have none."""
    named = {entry.config.get("monitor") for entry in entries}
    for column in (*(named if len(named) == 1 else ()), "val/loss"):
        if all(column in one for curve in curves for one in curve.seeds):
            return column
    return None


def _draw(axes: Axes, curves: Sequence[Curve], column: str) -> None:
    for number, curve in enumerate(curves):
        values = curve.values(column)
        epochs = np.arange(1, values.shape[1] + 1)
        label: str | None = None
        colour, dash = OTHERS, "solid"
        if number < len(COLOURS):
            colour, dash, label = COLOURS[number], DASHES[number], no_math(curve.label)
        elif number == len(COLOURS):
            label = f"the other {len(curves) - number}"
        above = 3 - number / len(curves)  # the best on top
        if len(values) > 1 and number < len(COLOURS):
            low, high = values.min(0), values.max(0)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.15, lw=0, zorder=above)
        (line,) = axes.plot(epochs, values.mean(0), label=label, color=colour, ls=dash)
        line.set(zorder=above, marker="." if len(epochs) == 1 else "")  # one point is no line
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
