"""Where do gradients vanish, and do gates preserve them?"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from experiments import study
from rnnexp.callbacks.gradient_flow import GRADIENT_FLOW_CSV
from rnnexp.runs.comparison.leaderboard import Entry

HERE = Path(__file__).parent
# Cells without a gate that keeps the state, and cells with one.
UNGATED = ["vanilla", "linear", "textnet_order2"]
GATED = ["gru_chung", "gru_cell", "mgu", "mgu1", "mgu2", "mgu3", "ligru", "mingru", "lstm_cell"]
WITHOUT_BIAS = ["mgu2"]  # its gate has no bias
DISTANCES = [5, 20, 50, 100, 200]
KEEPING_BIAS = 5.0  # forget bias: initially the gate keeps sigma(5) = 99.3 % of the state per step
COMMON_OVERRIDES = ["determinism.threads=1", "callbacks.figures=null", "logger=none"]

NO_GATE, HALF, KEPT = (
    "no gate keeps the state",
    "a gate keeps half of it at first (as drawn)",
    "a gate keeps 99 % of it at first (forget bias 5)",
)
COLORS = {NO_GATE: "#c8334a", HALF: "#e0912f", KEPT: "#2e6f9e"}
AXIS_MIN = 1e-16  # lower end of the axis; a smaller relative gradient changes no weight
# With a loss near zero, gradients underflow in float32. The last epoch before that counts.
MIN_GRADIENT = 1e-30
UNDERFLOW = "0 (underflow)"


def main(argv: Sequence[str] | None = None) -> int:
    parser = study.parser(__doc__, [*UNGATED, *GATED])
    parser.add_argument(
        "--at-once", type=int, default=1, help="number of concurrent trainings, one thread each"
    )
    options = parser.parse_intermixed_args(argv)
    return study.exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    return study.run(
        options,
        study.jobs_of(trainings(options.only, options.overrides), options.seeds),
        answer,
        study.Files(HERE, figure="gating.png"),
        whole=study.is_whole(options, [*UNGATED, *GATED]),
        at_once=options.at_once,
    )


def answer(completed: list[Entry]) -> study.Answer:
    rows = rows_of(completed)
    text = f"{tables(rows)}\n{study.trained_on(completed)}"
    return study.Answer(text, completed, lambda: draw(rows))


def trainings(cells: Sequence[str], overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The overrides for every cell at every distance: with the usual initial weights and, if the
    gate has a bias, also with a forget bias that keeps the state."""
    found = []
    for cell in cells:
        biases = [0.0, KEEPING_BIAS] if cell in GATED and cell not in WITHOUT_BIAS else [0.0]
        found += [
            (
                "experiment=gating_probe",
                f"name={cell}",
                f"model/recurrence={cell}",
                f"model.recurrence.forget_bias={bias}",
                f"data.distance={distance}",
                *COMMON_OVERRIDES,
                *overrides,
            )
            for bias in biases
            for distance in DISTANCES
        ]
    return found


# Results ----------------------------------------------------------------------------------------


@dataclass
class Row:
    """A row of the table and the figure: a cell with one forget bias.

    accuracy: test accuracy of each seed, by distance. before, after: curves of the remaining
    gradient before and after training, one per seed, by distance. Entry k of a curve is the norm of
    the gradient k words before the last word, divided by the norm at the last word.
    """

    cell: str
    group: str
    accuracy: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    before: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    after: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def mean(self, distance: int) -> float:
        return float(np.mean(self.accuracy[distance])) if distance in self.accuracy else np.nan

    def left(self, curves: dict[int, list[np.ndarray]], distance: int) -> np.ndarray:
        """The geometric mean over the seeds, (distance + 1,); NaN if there is no curve."""
        found = np.stack(curves.get(distance) or [np.full(distance + 1, np.nan)])
        with np.errstate(divide="ignore"):
            return np.exp(np.log(found).mean(axis=0))


def rows_of(runs: list[Entry]) -> list[Row]:
    """The rows of the runs, sorted by group."""
    rows: dict[tuple[str, str], Row] = {}
    for run in runs:
        cell, distance = run.config["name"], run.config["data.distance"]
        group = group_of(cell, run.config["model.recurrence.forget_bias"])
        row = rows.setdefault((group, cell), Row(cell, group))
        row.accuracy[distance].append(run.metrics["test/accuracy"])
        curves = pd.read_csv(run.folder / GRADIENT_FLOW_CSV)
        curves = curves.pivot(index="epochs", columns="distance", values="gradient_norm")
        curves = curves[curves[0] > MIN_GRADIENT]
        relative = curves.div(curves[0], axis=0).to_numpy()
        row.before[distance].append(relative[0])
        row.after[distance].append(relative[-1])
    order = [(group, cell) for group in COLORS for cell in [*UNGATED, *GATED]]
    return sorted(rows.values(), key=lambda row: order.index((row.group, row.cell)))


def group_of(cell: str, forget_bias: float) -> str:
    if cell in UNGATED:
        return NO_GATE
    return KEPT if forget_bias else HALF


def distances_of(rows: list[Row]) -> list[int]:
    return sorted({distance for row in rows for distance in row.accuracy})


def tables(rows: list[Row]) -> str:
    """Test accuracy by distance, and the remaining gradient over the longest distance."""
    distances = distances_of(rows)
    longest = distances[-1]
    reached, left = [], []
    for row in rows:
        reached.append([row.cell, row.group, *(written(row.accuracy[one]) for one in distances)])
        parts = [row.left(curves, longest)[-1] for curves in (row.before, row.after)]
        left.append(
            [row.cell, row.group, *(f"{part:.0e}" if part else UNDERFLOW for part in parts)]
        )
    heads, words = ["cell", "group"], [f"{distance} words" for distance in distances]
    return "\n".join(
        [
            study.markdown_table(
                "Test accuracy by distance of the word that counts",
                pd.DataFrame(reached, columns=[*heads, *words]),
            ),
            study.markdown_table(
                f"What is left of the gradient over {longest} words (geometric mean)",
                pd.DataFrame(left, columns=[*heads, "before the training", "after it"]),
            ),
        ]
    )


def written(values: Sequence[float]) -> str:
    """Mean and sample standard deviation; empty if there are no values."""
    if not values:
        return ""
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


# The figure -------------------------------------------------------------------------------------


def draw(rows: list[Row]) -> Figure:
    """Left and centre: the remaining gradient over the longest distance before and after training,
    one curve per cell. Right: the test accuracy of every cell by distance."""
    figure = Figure(figsize=(15, 7), layout="constrained")
    before, after, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    longest = distances_of(rows)[-1]
    for row in rows:
        for axes, curves in ((before, row.before), (after, row.after)):
            curve = row.left(curves, longest)
            axes.plot(curve, color=COLORS[row.group], lw=1.6, alpha=0.75)
    before.set_title("Remaining gradient, before training")
    after.set_title("Remaining gradient, after training")
    before.set_ylabel("relative to the gradient at the last word, one line per cell")
    for axes in (before, after):
        axes.set(yscale="log", ylim=(AXIS_MIN, 30), xlim=(0, longest))
        axes.set(xlabel="words back from the last one", xticks=distances_of(rows))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    lines = [Line2D([], [], color=color, lw=3, label=group) for group, color in COLORS.items()]
    figure.legend(handles=lines, loc="outside lower left", ncols=3, frameon=False)
    accuracy_map(right, rows)
    return figure


def accuracy_map(axes: Axes, rows: list[Row]) -> None:
    """One row per cell, one column per distance: the mean over the seeds, white at chance."""
    distances = distances_of(rows)
    height, places = -1.4, []
    for row, before in zip(rows, [None, *rows], strict=False):
        height += 1
        if before is None or row.group != before.group:
            height += 1.4
            axes.text(
                -0.5, height - 1, row.group, color=COLORS[row.group], weight="bold", va="center"
            )
        places.append(height)
        colors = LinearSegmentedColormap.from_list(row.group, ["white", COLORS[row.group]])
        for column, distance in enumerate(distances):
            share = row.mean(distance)
            strength = float(np.clip(2 * share - 1, 0, 1))
            place = (column - 0.5, height - 0.5)
            axes.add_patch(Rectangle(place, 1, 1, fc=colors(strength), ec="0.85"))
            color = "white" if strength > 0.6 else "black"
            if not np.isnan(share):
                text = f"{100 * share:.0f}"
                axes.text(column, height, text, ha="center", va="center", color=color)
    axes.set_title("Test accuracy, % (guessing: 50)")
    axes.set_xticks(range(len(distances)), list(map(str, distances)))
    axes.set_yticks(places, [row.cell for row in rows])
    axes.set(xlim=(-0.5, len(distances) - 0.5), ylim=(height + 0.6, -0.6))
    axes.set_xlabel("words back from the last one to the one that counts")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    sys.exit(main())
