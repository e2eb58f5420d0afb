"""How much faster are the steps in C++ than what `auto` takes?

    python experiments/speed/native.py

measures the cells of grid.py at its sizes, in training and inference, in about five minutes: the
path `native` beside the one that `auto` takes. It needs a C++ compiler. It draws the ratio as heat
maps, by cell.
"""

import argparse
import sys
from collections.abc import Mapping

import pandas as pd

from experiments import study
from experiments.speed import grid, machine
from experiments.speed.contenders import AUTO, Case, ours, products_of
from experiments.speed.harness import Findings, parser, run
from experiments.speed.timing import Stopwatch, Work, ratio
from rnnexp.errors import UserError
from rnnexp.nn.fast.choices import tuning_of
from rnnexp.nn.fast.native.build import why_not

NATIVE, PRODUCTS = "native", "products"
SECONDS, MOST, LEAST = 2.0, 12, 5  # of a size; rounds
RATIO, SHARE = "native to auto", "products' share"


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__).parse_args(argv)
    place, picture = machine.place("native"), machine.picture("native")
    return run(options, measure, bars="native", place=place, picture=picture)


def measure(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    if why := why_not():
        raise UserError(f"there is no native path here: {why}")
    sizes = grid.QUICK if options.quick else grid.FULL
    most = grid.FEW if options.quick else MOST
    table = pd.DataFrame([row_of(case, stopwatch, most) for case in grid.cases(sizes)])
    label = "time of native to that of auto"
    return Findings(tables(table), values(table), lambda: grid.draw(table, RATIO, label))


def row_of(case: Case, stopwatch: Stopwatch, most: int = MOST) -> dict[str, object]:
    kind, tuning = "training" if case.training else "inference", tuning_of(case.cell.__name__)
    works: Mapping[str, Work] = {
        AUTO: ours(case, "auto", tuning),
        NATIVE: ours(case, "native", tuning),
        PRODUCTS: products_of(case),
    }
    times = grid.timed(works, stopwatch, SECONDS, min(LEAST, most), most)
    found = ratio(times, NATIVE, AUTO).median
    print(f"{kind}, {case.cell.__name__}, {case}: {found:.2f}", flush=True)
    return {
        "kind": kind,
        "cell": case.cell.__name__,
        "batch": case.batch,
        "hidden": case.hidden,
        RATIO: found,
        SHARE: ratio(times, PRODUCTS, NATIVE).median,
    }


def tables(table: pd.DataFrame) -> list[str]:
    """One table for training and one for inference: a row a cell, a column a size."""
    found = []
    for kind, own in table.groupby("kind", sort=False):
        rows = [
            {"": cell}
            | {
                f"{batch} x {hidden}": f"{value:.2f}, {share:.0%}"
                for batch, hidden, value, share in rows[
                    ["batch", "hidden", RATIO, SHARE]
                ].itertuples(index=False)
            }
            for cell, rows in own.groupby("cell", sort=False)
        ]
        title = f"{str(kind).capitalize()}, batch x hidden: native to auto, products' share"
        found.append(study.markdown_table(title, pd.DataFrame(rows)))
    return found


def values(table: pd.DataFrame) -> dict[str, float]:
    """For the bars: the largest ratio at every size of a batch. The LSTM stands apart: `auto` takes
    oneDNN's kernel there."""
    others = table[table["cell"] != "LSTM"]
    found = {
        f"batch {batch}: {RATIO}": float(own[RATIO].max()) for batch, own in others.groupby("batch")
    }
    return found | {f"LSTM: {RATIO}": float(table.loc[table["cell"] == "LSTM", RATIO].max())}


if __name__ == "__main__":
    sys.exit(main())
