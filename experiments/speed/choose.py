"""From which sizes on is one way of computing faster than another? Measures what `auto` becomes.

    python experiments/speed/choose.py

measures the choices of the fused path and the path of each cell, in about five minutes, and writes
them to rnnexp/nn/fast/choices.json, under the instruction set of this processor.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments import study
from experiments.speed import machine
from experiments.speed.contenders import Case, ours
from experiments.speed.grid import NEVER_SLOWER
from experiments.speed.harness import Findings, parser, run
from experiments.speed.timing import Stopwatch, Work, bursts
from rnnexp.nn import cells
from rnnexp.nn.fast import choices
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.torch_layers import LAYERS
from rnnexp.nn.fast.tuning import Tuning, cost, tanh_by_sigmoid
from rnnexp.nn.recurrence import PathName

ROUNDS, BURST = 7, 0.02  # seconds in which a work is repeated in a round, if it is shorter
REPEATED = 20  # products or tanhs in one work
Size = tuple[int, ...]  # sequences and hidden units, and steps where these vary
Candidate = Callable[[Size], list[Work]]  # the works to time at a size


@dataclass(frozen=True)
class Plan:
    """The sizes (sequences, hidden units) at which each choice is measured. many: with more
    sequences than a group may have. short: of few steps; (sequences, hidden units, steps)."""

    steps: int
    products: Sequence[Size]
    tanh: Sequence[Size]
    runs: Sequence[Size]
    many: Sequence[Size]
    short: Sequence[Size]
    rounds: int = ROUNDS


FULL = Plan(
    steps=90,
    products=[(64, 32), (64, 64), (64, 128), (64, 192), (64, 256), (1024, 128), (1024, 256)],
    tanh=[(1, 128), (4, 128), (8, 128), (16, 128), (32, 128), (64, 128), (64, 256), (512, 128)],
    runs=[(1, 32), (1, 256), (64, 32), (64, 128), (64, 256), (1024, 32), (1024, 128), (1024, 256)],
    many=[(1024, 32), (1024, 256), (2048, 128), (2048, 256)],
    short=[(*size, steps) for size in [(1, 32), (64, 128), (64, 256)] for steps in (3, 6, 12, 24)],
)
QUICK = Plan(3, [(2, 4)], [(2, 4)], [(1, 4), (2, 4)], [(2, 4)], [(2, 4, 1), (2, 4, 2)], rounds=2)
GROUP_SEQUENCES, BLOCK_ROWS = (256, 512, 1024, 2048), (1024, 2048, 4096, 8192)
TOLERANCE = 0.02  # of a time; less is noise


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__).parse_args(argv)
    return run(options, measure, bars="choices")


def measure(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    plan = QUICK if options.quick else FULL
    tuning = tuning_of_all(plan, stopwatch)
    of_paths = ("torch_below", "plain_below")
    own = {name: size for name, size in asdict(tuning).items() if not name.startswith(of_paths)}
    chosen = {choices.EVERY_CELL: own} | {
        kind.__name__: paths_of(kind, tuning, plan, stopwatch) for kind in KERNELS
    }
    rows = [
        {"for": of, "choice": name, "size": "none" if size is None else f"{size:,}"}
        for of, sizes in chosen.items()
        for name, size in sizes.items()
    ]
    title = f"What auto becomes: {choices.instruction_set()}"
    table = study.markdown_table(title, pd.DataFrame(rows))
    return Findings([table], keep=partial(keep, chosen))


def keep(chosen: Mapping[str, Any]) -> None:
    """Put the choices of this instruction set into the table that is shipped."""
    measured = f"{date.today().isoformat()} on {machine.description()}"
    section = {choices.MEASURED: measured, **chosen}
    table = choices.table() | {choices.instruction_set(): section}
    choices.TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


# What is chosen ---------------------------------------------------------------------------------


def tuning_of_all(plan: Plan, stopwatch: Stopwatch) -> Tuning:
    """The tuning of every cell. Each choice is measured with those before it."""

    def from_size(sizes: Sequence[Size], below: Candidate, above: Candidate) -> int | None:
        return threshold(sizes, below, above, plan.rounds, stopwatch)

    def best(tuning: Tuning, name: str, values: Sequence[int]) -> Tuning:
        tunings = [replace(tuning, **{name: value}) for value in values]
        candidates = [runs(cells.MGU, one, plan.steps) for one in tunings]
        times = [
            seconds(works, plan.rounds, stopwatch)
            for size in plan.many
            for works in zip(*(candidate(size) for candidate in candidates), strict=True)
        ]
        return tunings[least_loss(times)]

    products = from_size(plan.products, partial(multiply, MKL), partial(multiply, ONEDNN))
    if products is not None:  # in elements so far
        products = next(
            r * h * h for r, h in sorted(plan.products, key=elements) if r * h >= products
        )
    sigmoid = from_size(
        plan.tanh, partial(activate, torch.tanh), partial(activate, tanh_by_sigmoid)
    )
    tuning = replace(MKL, onednn_from=products, sigmoid_from=sigmoid)
    tuning = best(tuning, "group_sequences", GROUP_SEQUENCES)
    tuning = best(tuning, "block_rows", BLOCK_ROWS)

    apart, augmented = (
        runs(cells.MGU, replace(tuning, augment_from=size), plan.steps) for size in (None, 0)
    )
    tuning = replace(tuning, augment_from=from_size(plan.runs, apart, augmented))
    joint, single = (
        runs(cells.GRUChung, replace(tuning, joint_below=size), plan.steps) for size in (None, 0)
    )
    return replace(tuning, joint_below=from_size(plan.runs, joint, single))


def paths_of(
    kind: type[cells.Cell], tuning: Tuning, plan: Plan, stopwatch: Stopwatch
) -> dict[str, int | None]:
    """The sizes below which a cell runs on torch's layer, so that the fused path is never much
    slower than it, and those below which it runs on the plain path."""
    found = {}
    for name, training in (("training", True), ("inference", False)):
        torchs, plain, fused = (
            runs(kind, tuning, plan.steps, path, (training,))
            for path in ("torch", "plain", "fused")
        )
        if kind in LAYERS:
            found[f"torch_below_{name}"] = threshold(
                plan.runs,
                torchs,
                fused,
                plan.rounds,
                stopwatch,
                most=NEVER_SLOWER,
                tolerance=NEVER_SLOWER - 1,  # a draw goes to torch's layer
            )
        limit = threshold(plan.short, plain, fused, plan.rounds, stopwatch, key=cost_of)
        if limit is None:  # no longer sequences were measured
            limit = max(map(cost_of, plan.short))
        found[f"plain_below_{name}"] = limit
    return found


def elements(size: Size) -> int:
    return size[0] * size[1]


def cost_of(size: Size) -> int:
    """What `Tuning.takes_plain` compares; size: with steps."""
    sequences, hidden_size, steps = size
    return cost(steps, sequences, hidden_size)


def threshold(
    sizes: Sequence[Size],
    below: Candidate,
    above: Candidate,
    rounds: int,
    stopwatch: Stopwatch,
    most: float = math.inf,
    tolerance: float = TOLERANCE,
    key: Callable[[Size], int] = elements,
) -> int | None:
    """The key of the size from which on `above` is taken, so that the largest loss against the
    faster one at any size is as small as possible, within a tolerance; None: never. Of equals, the
    largest size is taken. most: the largest loss that `above` may have."""
    sizes = sorted(sizes, key=key)
    lost_below, lost_above = [], []
    for size in sizes:
        times = [
            seconds(works, rounds, stopwatch)
            for works in zip(below(size), above(size), strict=True)
        ]
        lost_below.append(max(one / min(one, other) for one, other in times))
        lost_above.append(max(other / min(one, other) for one, other in times))
        print(f"{size}: {[f'{other / one:.2f}' for one, other in times]}", flush=True)
    losses = {
        place: max(lost_below[:place] + lost_above[place:])
        for place in range(len(sizes) + 1)
        if all(lost <= most for lost in lost_above[place:])
    }
    smallest = min(losses.values())
    best = max(place for place, lost in losses.items() if lost <= smallest + tolerance)
    if best == len(sizes):
        return None
    return key(sizes[best]) if best else 0


def least_loss(times: Sequence[np.ndarray]) -> int:
    """The index of the value whose largest loss against the fastest one is as small as possible,
    within TOLERANCE; times: of every value, at each size. Of equals, the first is taken."""
    losses = np.array([time / time.min() for time in times]).max(axis=0)
    print(f"largest losses: {[f'{loss:.2f}' for loss in losses]}", flush=True)
    return int(np.argmax(losses <= losses.min() + TOLERANCE))


def seconds(works: Sequence[Work], rounds: int, stopwatch: Stopwatch) -> np.ndarray:
    """The median time of each work, side by side."""
    named = {str(number): work for number, work in enumerate(works)}
    shortest = float(stopwatch.side_by_side(named, 1).to_numpy().min())
    times = stopwatch.side_by_side(bursts(named, BURST, shortest), rounds)
    return times.median().to_numpy()


# What is timed ----------------------------------------------------------------------------------

MKL = Tuning(
    onednn_from=None,
    sigmoid_from=None,
    augment_from=None,
    joint_below=0,
    group_sequences=1024,
    block_rows=4096,
)
ONEDNN = replace(MKL, onednn_from=0)


def multiply(tuning: Tuning, size: Size) -> list[Work]:
    """The product of a state and a recurrent weight."""
    rows, hidden = size
    x, weight, out = torch.randn(size), torch.randn(hidden, hidden), torch.empty(size)

    def work() -> None:
        with tuning.products(rows, hidden, hidden):
            for _ in range(REPEATED):
                torch.mm(x, weight, out=out)

    return [work]


def activate(tanh: Callable[..., Tensor], size: Size) -> list[Work]:
    x, out = torch.randn(size), torch.empty(size)

    def work() -> None:
        for _ in range(REPEATED):
            tanh(x, out=out)

    return [work]


def runs(
    kind: type[cells.Cell],
    tuning: Tuning,
    steps: int,
    path: PathName = "fused",
    modes: Sequence[bool] = (True, False),
) -> Candidate:
    """A training iteration and an inference of a cell, or one of them. steps: where a size has
    none. modes: training or not."""

    def works(size: Size) -> list[Work]:
        batch, hidden, own_steps = (*size, steps)[:3]
        case = Case(kind, batch, own_steps, hidden, every_step=False)
        return [ours(replace(case, training=mode), path, tuning) for mode in modes]

    return works


if __name__ == "__main__":
    sys.exit(main())
