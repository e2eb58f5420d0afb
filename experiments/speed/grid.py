"""Is the path that a recurrence takes by itself ever slower than another one?

    python experiments/speed/grid.py

measures six cells at nine sizes, and over short sequences at four, in training and inference, in
about fifteen minutes: the path that `auto` takes beside the plain path, the literal loop and
torch's layer. It draws the ratio to the fastest of the others as heat maps, by cell.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from experiments import study
from experiments.speed import machine
from experiments.speed.contenders import AUTO, PLAIN, PRODUCTS, Case, contenders
from experiments.speed.harness import Findings, parser, run
from experiments.speed.timing import Stopwatch, Work, bursts, ratio
from experiments.speed.yardsticks import LAYERS
from rnnexp.nn import cells
from rnnexp.nn.fast import torch_layers

CELLS = (cells.Vanilla, cells.MGU, cells.GRU, cells.GRUChung, cells.LSTM, cells.TEXTnetOrder2)
SECONDS, MOST, LEAST, FEW = 5.0, 12, 5, 2  # of a size; rounds, and those of --quick
BURST = 0.02  # seconds in which a contender repeats its work in a round, if it is shorter
NEVER_SLOWER = 1.05


class Sizes(NamedTuple):
    """steps: of every sequence. batches, hidden: what is crossed."""

    steps: int
    batches: Sequence[int]
    hidden: Sequence[int]


FULL, QUICK = Sizes(90, (1, 64, 1024), (32, 128, 256)), Sizes(3, (1, 2), (4,))
SHORT = [Sizes(steps, (1, 64), (128,)) for steps in (5, 15)]
QUICK_SHORT = [Sizes(1, (1,), (4,))]


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__).parse_args(argv)
    place, picture = machine.place("grid"), machine.picture("grid")
    return run(options, measure, bars="grid", place=place, picture=picture)


def measure(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    sizes, short = (QUICK, QUICK_SHORT) if options.quick else (FULL, SHORT)
    most = FEW if options.quick else MOST
    table, shorts = (
        pd.DataFrame([row_of(case, stopwatch, most) for one in group for case in cases(one)])
        for group in ([sizes], short)
    )
    worst = {
        f"{kind}{of}: auto to the fastest other": float(own["to the fastest other"].max())
        for of, rows in (("", table), (", short sequences", shorts))
        for kind, own in rows.groupby("kind")
    }
    found = [summary(table), *tables(table), other_equations(table), of_short_sequences(shorts)]
    label = "time of auto to the fastest other"
    return Findings(found, worst, lambda: draw(table, "to the fastest other", label))


def cases(sizes: Sizes) -> list[Case]:
    return [
        Case(cell, batch, sizes.steps, hidden, every_step=False, training=training)
        for cell in CELLS
        for training in (True, False)
        for batch in sizes.batches
        for hidden in sizes.hidden
    ]


def row_of(case: Case, stopwatch: Stopwatch, most: int = MOST) -> dict[str, object]:
    """The ratio of the path that `auto` takes to the fastest contender that computes the same.

    nn.GRU is the usual alternative to MGU and GRUChung, but has other equations: the ratio to it
    stands apart. most: rounds.
    """
    works = contenders(case, {AUTO: "auto", PLAIN: "plain"})
    times = timed(works, stopwatch, SECONDS, min(LEAST, most), most)
    layer = LAYERS.get(case.cell)
    foreign = f"nn.{layer.__name__}" if layer and case.cell not in torch_layers.LAYERS else None
    medians = times.drop(columns=[AUTO, PRODUCTS, *filter(None, [foreign])]).median()
    fastest = str(medians.idxmin())
    kind = "training" if case.training else "inference"
    print(f"{kind}, {case.cell.__name__}, {case}: {fastest}", flush=True)
    return {
        "kind": kind,
        "cell": case.cell.__name__,
        "steps": case.steps,
        "batch": case.batch,
        "hidden": case.hidden,
        "to the fastest other": ratio(times, AUTO, fastest).median,
        "fastest other": fastest,
        "products' share": ratio(times, PRODUCTS, AUTO).median,
        "to nn.GRU": ratio(times, AUTO, foreign).median if foreign else None,
    }


def timed(
    works: Mapping[str, Work], stopwatch: Stopwatch, seconds: float, least: int, most: int
) -> pd.DataFrame:
    """The times of works (rounds, contenders), in as many rounds as take about so many seconds,
    from `least` to `most`. Short works are repeated in bursts."""
    works = bursts(works, BURST, stopwatch.side_by_side(works, 1).to_numpy().min())
    probe = stopwatch.side_by_side(works, 1)
    rounds = np.clip(seconds / probe.sum(axis=1).iloc[0], least, most)
    return stopwatch.side_by_side(works, int(rounds))


def summary(table: pd.DataFrame) -> str:
    slower = table[table["to the fastest other"] > NEVER_SLOWER]
    return (
        f"In {len(slower)} of {len(table)} cases, `auto` takes more than {NEVER_SLOWER} times as "
        "long as the fastest other contender; the largest ratio is "
        f"{table['to the fastest other'].max():.2f}.\n"
    )


def tables(table: pd.DataFrame) -> list[str]:
    """One table for training and one for inference: a row a cell, a column a size."""
    found = []
    for kind, own in table.groupby("kind", sort=False):
        wide = pd.DataFrame(
            [
                {"": cell}
                | {
                    f"{batch} x {hidden}": f"{value:.2f} ({other})"
                    for batch, hidden, value, other in rows[
                        ["batch", "hidden", "to the fastest other", "fastest other"]
                    ].itertuples(index=False)
                }
                for cell, rows in own.groupby("cell", sort=False)
            ]
        )
        title = f"{str(kind).capitalize()}, batch x hidden: auto to the fastest other (which)"
        found.append(study.markdown_table(title, wide))
    return found


def other_equations(table: pd.DataFrame) -> str:
    """The ratio to nn.GRU of the cells that have no layer in torch: a row a cell and mode."""
    rows = [
        {"": f"{cell}, {kind}"}
        | {f"{one.batch} x {one.hidden}": f"{one.ratio:.2f}" for one in own.itertuples()}
        for (cell, kind), own in table.dropna(subset="to nn.GRU")
        .rename(columns={"to nn.GRU": "ratio"})
        .groupby(["cell", "kind"], sort=False)
    ]
    title = "Batch x hidden: auto to nn.GRU, which has other equations"
    return study.markdown_table(title, pd.DataFrame(rows))


def of_short_sequences(table: pd.DataFrame) -> str:
    """The ratio by steps and size: a row a cell and mode."""
    rows = [
        {"": f"{cell}, {kind}"}
        | {
            f"{steps} steps, {batch} x {hidden}": f"{value:.2f} ({other})"
            for steps, batch, hidden, value, other in own[
                ["steps", "batch", "hidden", "to the fastest other", "fastest other"]
            ].itertuples(index=False)
        }
        for (kind, cell), own in table.groupby(["kind", "cell"], sort=False)
    ]
    title = "Short sequences, batch x hidden: auto to the fastest other (which)"
    return study.markdown_table(title, pd.DataFrame(rows))


def draw(table: pd.DataFrame, column: str, label: str) -> Figure:
    """Heat maps of the ratio in a column: a row of panels for training and one for inference."""
    kinds, names = list(table["kind"].unique()), list(table["cell"].unique())
    figure = Figure(figsize=(2.1 * len(names) + 1, 2.5 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), len(names), sharex=True, sharey=True, squeeze=False)
    norm = TwoSlopeNorm(1.0, 0.3, 1.7)
    for (row, kind), (place, name) in (
        (one, other) for one in enumerate(kinds) for other in enumerate(names)
    ):
        axes = panels[row, place]
        own = table[(table["kind"] == kind) & (table["cell"] == name)]
        grid = own.pivot(index="batch", columns="hidden", values=column)
        image = axes.imshow(grid, cmap="RdBu_r", norm=norm, origin="lower")
        for (y, x), value in np.ndenumerate(grid.to_numpy()):
            ink = "black" if 0.2 < norm(value) < 0.9 else "white"
            axes.text(x, y, f"{value:.2f}", color=ink, ha="center", va="center", size="small")
        axes.set_xticks(range(len(grid.columns)), grid.columns)
        axes.set_yticks(range(len(grid)), grid.index)
        axes.set_title(f"{name}, {kind}", size="small")
    figure.supxlabel("hidden units", size="small")
    figure.supylabel("sequences in a batch", size="small")
    figure.colorbar(image, ax=panels, label=label)
    return figure


if __name__ == "__main__":
    sys.exit(main())
