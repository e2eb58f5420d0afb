"""How time and memory grow along one axis: steps, batch, hidden size or inputs."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch.profiler import ProfilerActivity, profile

from experiments.speed.contenders import AUTO, PRODUCTS, Case, contenders
from experiments.speed.timing import Ratio, Stopwatch, Work, ratio

LABELS = {
    "steps": "steps",
    "batch": "sequences in a batch",
    "hidden": "hidden units",
    "inputs": "inputs a step",
}
COLORS = ["#d1495b", "#edae49", "#00798c", "#30638e", "#4c4c4c"]


class Growth(NamedTuple):
    """Time and memory of every contender at every value of an axis.

    base: the value of the base case. times: seconds per sequence and step (rounds, contenders at a
    value), columns named by `at`. memory: peak memory per sequence and step, in hidden states, by
    contender and value.
    """

    axis: str
    base: int
    times: pd.DataFrame
    memory: dict[str, dict[int, float]]

    def time(self, name: str, value: int) -> Ratio:
        """The ratio of a contender's time at a value to auto's at the base."""
        return ratio(self.times, at(name, value), at(AUTO, self.base))


def at(name: str, value: int) -> str:
    """The name of the column of a contender at a value."""
    return f"{name} at {value}"


def grow(stopwatch: Stopwatch, base: Case, axis: str, values: list[int], rounds: int) -> Growth:
    """Measure the base case with other values on one axis."""
    made: dict[str, Work] = {}
    sequence_steps: dict[str, int] = {}
    memory: dict[str, dict[int, float]] = {}
    for value in values:
        changed: dict[str, Any] = {axis: value}
        case = replace(base, **changed)
        size = case.batch * case.steps
        for name, work in contenders(case).items():
            made[at(name, value)], sequence_steps[at(name, value)] = work, size
            if name != PRODUCTS:
                states = peak_bytes(work) / (4 * case.hidden * size)
                memory.setdefault(name, {})[value] = states
    times = stopwatch.side_by_side(made, rounds) / pd.Series(sequence_steps)
    return Growth(axis, getattr(base, axis), times, memory)


def peak_bytes(work: Work) -> int:
    """The largest number of bytes that the tensors of a work hold at one time, torch's internal
    ones included."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else every profile prints a message
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    held = peak = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda one: one.start_ns()):
        if event.name() == "[memory]":  # an allocation; negative where memory is freed
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def table(growth: Growth) -> pd.DataFrame:
    """Cells `time, memory`: one row per contender, one column per value."""
    rows = {
        name: {
            f"{value:,}": f"{growth.time(name, value).median:.2f}, {states:.1f}"
            for value, states in memory.items()
        }
        for name, memory in growth.memory.items()
    }
    return pd.DataFrame(rows).T.reset_index(names=LABELS[growth.axis])


def title(growth: Growth, base: Case) -> str:
    others = [f"{LABELS[axis]} {getattr(base, axis)}" for axis in LABELS if axis != growth.axis]
    return f"pmGRU, growth with {LABELS[growth.axis]} ({', '.join(others)}): time, memory"


def along(axes: Axes, sizes: Sequence[int], label: str) -> None:
    """Make the x axis one of these sizes. Set the scale of the y axis before the call."""
    axes.set(xscale="log", xlabel=label)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw(growths: list[Growth]) -> Figure:
    """Time in the upper row, memory in the lower row, one column per axis."""
    figure = Figure(figsize=(3.4 * len(growths), 6.5), layout="constrained")
    grid = figure.subplots(2, len(growths), sharey="row", sharex="col", squeeze=False)
    for growth, (above, below) in zip(growths, grid.T, strict=True):
        values = list(growth.memory[AUTO])
        for name, color in zip([*growth.memory, PRODUCTS], COLORS, strict=True):
            quartiles = [growth.time(name, value) for value in values]
            medians = [one.median for one in quartiles]
            spread = [
                [one.median - one.low for one in quartiles],
                [one.high - one.median for one in quartiles],
            ]
            style = ":" if name == PRODUCTS else "o-"
            above.errorbar(values, medians, spread, fmt=style, color=color, ms=4, label=name)
            if name in growth.memory:
                below.plot(values, list(growth.memory[name].values()), "o-", color=color, ms=4)
        above.set(xscale="log", yscale="log")
        below.set(yscale="log")
        along(below, values, LABELS[growth.axis])
        below.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        above.yaxis.set_major_formatter("{x:g}")
        above.grid(alpha=0.3)
        above.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("time per sequence and step,\nrelative to auto at the base")
    grid[1, 0].set_ylabel("peak memory per sequence and step,\nin hidden states")
    grid[0, 0].legend(frameon=False, fontsize=8)
    return figure
