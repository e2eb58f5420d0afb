"""How near does the time loop come to the machine's limit? Measures ratios of times, in rounds."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.markdown import Markdown

from experiments import study
from experiments.speed import command, growth, machine
from experiments.speed.apart import AS_TORCH_COMES, Apart
from experiments.speed.bars import Rows, judge, read_bars
from experiments.speed.contenders import (
    FUSED,
    LOOP,
    PLAIN,
    PRODUCTS,
    Case,
    contender,
    contenders,
    torchs,
)
from experiments.speed.plan import FULL, QUICK, Plan
from experiments.speed.timing import Stopwatch, ratio
from rnnexp import console
from rnnexp.process import cores, determinism

HERE = Path(__file__).parent
TITLES = {
    "training": "pmGRU, a training iteration, an output after the last step",
    "inference": "pmGRU, inference, an output after the last step",
    "every step": "pmGRU, a training iteration, an output at every step",
    "cells": "Every cell, a training iteration",
}


def main(argv: Sequence[str] | None = None) -> int:
    quick = "small sizes and few rounds, to see how it works: nothing is expected or written"
    return command.run(argv, __doc__, quick, answer)


def answer(quick: bool) -> int:
    """Measure everything, and write tables and figure. Returns the exit code: 1 where the machine
    was not quiet or an expectation is missed."""
    determinism.prepare(deterministic=True, threads=len(cores.available()))
    if not quick:
        machine.require_quiet()
    start, watch, stopwatch = time.perf_counter(), machine.Watch(), Stopwatch()
    plan, bars = (QUICK, []) if quick else (FULL, read_bars(HERE / "expected.yaml"))
    tables, growths = measure(plan, stopwatch)
    minutes = (time.perf_counter() - start) / 60
    facts, unrest = machine.conditions(watch.others(), stopwatch.pulse)

    judged, missed = judge(bars, tables | {one.axis: {"": one.times} for one in growths})
    parts = [f"Measured in {minutes:.1f} minutes on {machine.description()}. {facts}\n"]
    parts += [study.markdown_table("What is expected", judged)] if bars else []
    parts += [study.markdown_table(TITLES[name], ratios(rows)) for name, rows in tables.items()]
    parts += [
        study.markdown_table(growth.title(one, plan.base), growth.table(one)) for one in growths
    ]
    text = "\n".join(parts).rstrip()
    console.show(Markdown(text))

    if quick:
        print("README.md stays as it is: these sizes are too small to tell anything")
        return 0
    if unrest:
        print(f"study: README.md stays as it is: {unrest}", file=sys.stderr)
        return 1
    study.write_between_markers(HERE / "README.md", text)
    growth.draw(growths).savefig(HERE / "growth.png", dpi=110)
    for bar in missed:
        print(f"study: missed: {bar}", file=sys.stderr)
    return 1 if missed else 0


def measure(plan: Plan, stopwatch: Stopwatch) -> tuple[dict[str, Rows], list[growth.Growth]]:
    """The times of every row of every table, and growth along every axis."""
    tables: dict[str, Rows] = {}
    for name, cases in plan.tables.items():
        print(f"{name}: {len(cases)} sizes", flush=True)
        apart = name in plan.apart
        tables[name] = {
            row: measure_case(case, apart, stopwatch, plan.rounds[name])
            for row, case in cases.items()
        }
    growths = []
    for axis, values in plan.growth.items():
        print(f"growth with {growth.LABELS[axis]}", flush=True)
        growths.append(growth.grow(stopwatch, plan.base, axis, values, plan.rounds["growth"]))
    return tables, growths


def measure_case(case: Case, apart: bool, stopwatch: Stopwatch, rounds: int) -> pd.DataFrame:
    """All contenders; apart: torch's own as torch comes as well."""
    if not apart:
        return stopwatch.side_by_side(contenders(case), rounds)
    alone = Apart(contender, {name + AS_TORCH_COMES: (case, name) for name in torchs(case)})
    try:
        return stopwatch.side_by_side(contenders(case) | alone.works, rounds)
    finally:
        alone.end()


def ratios(rows: Rows) -> pd.DataFrame:
    """The fused path's time to that of the others, as texts, and which part of it products are."""
    lines = []
    for row, times in rows.items():
        line = {"": row} | {f"to {name}": str(ratio(times, FUSED, name)) for name in (PLAIN, LOOP)}
        apart = [name for name in map(str, times) if name.endswith(AS_TORCH_COMES)]
        layers = [name for name in map(str, times) if name.startswith("nn.") and name not in apart]
        line["to torch's"] = ", ".join(f"{name} {ratio(times, FUSED, name)}" for name in layers)
        line |= {f"to {name}": str(ratio(times, FUSED, name)) for name in apart}
        line["products' share"] = f"{ratio(times, PRODUCTS, FUSED).median:.0%}"
        lines.append(line)
    return pd.DataFrame(lines)


if __name__ == "__main__":
    sys.exit(main())
