"""How close does the time loop come to the limit of the machine? Measures ratios of times."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from experiments import study
from experiments.speed import growth, harness, machine
from experiments.speed.contenders import (
    AUTO,
    LOOP,
    PLAIN,
    PRODUCTS,
    Case,
    contender,
    contenders,
    torchs,
)
from experiments.speed.fresh_process import AS_TORCH_COMES, fresh_process
from experiments.speed.growth import Growth, at
from experiments.speed.harness import Findings
from experiments.speed.timing import Stopwatch, ratio
from experiments.speed.yardsticks import LOOPS
from rnnexp.nn.cells import MGU

TITLES = {
    "training": "pmGRU, a training iteration, an output after the last step",
    "inference": "pmGRU, inference, an output after the last step",
    "every step": "pmGRU, a training iteration, an output at every step",
    "cells": "Every cell, a training iteration",
}
Rows = dict[str, pd.DataFrame]  # seconds (rounds, contenders) of each row of a table


def main(argv: Sequence[str] | None = None) -> int:
    options = harness.parser(__doc__).parse_args(argv)
    place = machine.place("time loop")
    return harness.run(
        options, answer, bars="time loop", place=place, picture=machine.picture("growth")
    )


def answer(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    plan = QUICK if options.quick else FULL
    tables, growths = measure(plan, stopwatch)
    written = [study.markdown_table(TITLES[name], ratios(rows)) for name, rows in tables.items()]
    written += [
        study.markdown_table(growth.title(one, plan.base), growth.table(one)) for one in growths
    ]
    return Findings(written, values(tables, growths), lambda: growth.draw(growths))


# What is measured -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """The measurements of a study.

    tables: the cases of each table, by the name of the row. base, growth: `base` is measured with
    each of these values on each axis, including its own value. rounds: for each table, and for
    growth. fresh: tables whose torch-only contenders also run in a fresh process.
    """

    tables: dict[str, dict[str, Case]]
    base: Case
    growth: dict[str, list[int]]
    rounds: dict[str, int]
    fresh: tuple[str, ...] = ("training", "inference", "every step")


def plan(
    iteration: Case,
    every_step: list[Case],
    of_cells: list[Case],
    base: Case,
    growth: dict[str, list[int]],
    rounds: dict[str, int],
) -> Plan:
    """The tables: training and inference with the lecture's pmGRU; pmGRU with an output at every
    step; every cell at some sizes."""
    tables = {
        "training": {str(iteration): iteration},
        "inference": {str(iteration): replace(iteration, training=False)},
        "every step": {str(case): case for case in every_step},
        "cells": {
            f"{cell.__name__}, {case}": replace(case, cell=cell)
            for case in of_cells
            for cell in LOOPS
        },
    }
    return Plan(tables, base, growth, rounds)


LARGE = Case(MGU, batch=1024, steps=90, hidden=256, every_step=False)
SMALL = Case(MGU, batch=64, steps=180, hidden=128)
BASE = Case(MGU, batch=64, steps=100, hidden=128)
FULL = plan(
    iteration=LARGE,
    every_step=[
        replace(SMALL, steps=steps, hidden=hidden)
        for steps in (180, 256)
        for hidden in (128, 192, 256)
    ],
    of_cells=[SMALL, LARGE],
    base=BASE,
    growth={
        "steps": [100, 200, 500, 1000, 2000],
        "batch": [1, 8, 64, 512],
        "hidden": [32, 64, 128, 256, 512],
        "inputs": [1, 12, 100, 1000],
    },
    rounds={"training": 12, "inference": 12, "every step": 12, "cells": 6, "growth": 6},
)

TINY = Case(MGU, batch=4, steps=6, hidden=8)
QUICK = plan(
    iteration=replace(TINY, every_step=False),
    every_step=[TINY],
    of_cells=[TINY],
    base=TINY,
    growth={"steps": [6, 12], "batch": [2, 4], "hidden": [8, 16], "inputs": [3, 12]},
    rounds={"training": 3, "inference": 3, "every step": 3, "cells": 3, "growth": 3},
)


# Measuring --------------------------------------------------------------------------------------


def measure(plan: Plan, stopwatch: Stopwatch) -> tuple[dict[str, Rows], list[Growth]]:
    """The times of every row of every table, and growth along every axis."""
    tables: dict[str, Rows] = {}
    for name, cases in plan.tables.items():
        print(f"{name}: {len(cases)} sizes", flush=True)
        rounds, fresh = plan.rounds[name], name in plan.fresh
        tables[name] = {
            row: measure_case(case, fresh, stopwatch, rounds) for row, case in cases.items()
        }
    growths = []
    for axis, along in plan.growth.items():
        print(f"growth with {growth.LABELS[axis]}", flush=True)
        growths.append(growth.grow(stopwatch, plan.base, axis, along, plan.rounds["growth"]))
    return tables, growths


def measure_case(case: Case, fresh: bool, stopwatch: Stopwatch, rounds: int) -> pd.DataFrame:
    """All contenders. fresh: also measure the torch-only contenders in a fresh process."""
    again = {name + AS_TORCH_COMES: (case, name) for name in torchs(case)} if fresh else {}
    if not again:
        return stopwatch.side_by_side(contenders(case), rounds)
    with fresh_process(contender, again) as works:
        return stopwatch.side_by_side(contenders(case) | works, rounds)


# Results ----------------------------------------------------------------------------------------


def ratios(rows: Rows) -> pd.DataFrame:
    """The ratio of auto's time to each other contender's, as text, and the time of the
    products as a share of auto's time."""
    lines = []
    for row, times in rows.items():
        line = {"": row} | {f"to {name}": str(ratio(times, AUTO, name)) for name in (PLAIN, LOOP)}
        again = [name for name in map(str, times) if name.endswith(AS_TORCH_COMES)]
        layers = [name for name in map(str, times) if name.startswith("nn.") and name not in again]
        line["to torch's"] = ", ".join(f"{name} {ratio(times, AUTO, name)}" for name in layers)
        line |= {f"to {name}": str(ratio(times, AUTO, name)) for name in again}
        line["products' share"] = f"{ratio(times, PRODUCTS, AUTO).median:.0%}"
        lines.append(line)
    return pd.DataFrame(lines)


def values(tables: dict[str, Rows], growths: Sequence[Growth]) -> dict[str, float]:
    """For the bars: the largest ratio of auto's time to each contender's in any row of a table,
    and the growth of auto's time from the base to each value of an axis."""
    found: dict[str, float] = {}
    for table, rows in tables.items():
        for times in rows.values():
            for other in map(str, times.columns.drop(AUTO)):
                name = f"{table}: {AUTO} to {other}"
                found[name] = max(ratio(times, AUTO, other).median, found.get(name, 0.0))
    for one in growths:
        for value in one.memory[AUTO]:
            name = f"{one.axis}: {at(AUTO, value)} to {at(AUTO, one.base)}"
            found[name] = one.time(AUTO, value).median
    return found


if __name__ == "__main__":
    sys.exit(main())
