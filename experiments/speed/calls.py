"""How many operations does a step call?

    python experiments/speed/calls.py

counts them, in a second, for every way of running a cell, and writes the table to README.md. A call
takes about a microsecond, whatever its size, so calls decide the time of small steps.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from experiments import study
from experiments.speed.grid import CELLS
from experiments.speed.harness import HERE
from experiments.speed.yardsticks import LOOPS
from rnnexp import console
from rnnexp.nn.cell import Cell
from rnnexp.nn.fast.choices import tuning_of
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features

INPUTS, HIDDEN = 12, 32
VIEWS = {"alias", "detach", "expand", "permute", "select", "slice", "split", "squeeze", "t"}
VIEWS |= {"transpose", "unbind", "unsqueeze", "view", "_unsafe_view", "as_strided", "lift_fresh"}


def main(argv: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    text = study.markdown_table("Operations a step, forward and backward", table(CELLS))
    console.show_markdown(text)
    study.write_between_markers(HERE / "README.md", text, "calls")
    return 0


def table(kinds: Sequence[type[Cell]]) -> pd.DataFrame:
    """A row a cell: operations a step in inference, and in a training step."""
    return pd.DataFrame([{"": kind.__name__} | counts(kind) for kind in kinds])


def counts(kind: type[Cell]) -> dict[str, str]:
    """Operations a step in inference and in training, by the way of running the cell."""
    tuning = tuning_of(kind.__name__)
    apart = asdict(replace(tuning, joint_below=0, augment_from=0))

    def layer(**options: Any) -> CellRecurrence:
        return CellRecurrence(kind, INPUTS, HIDDEN, **options)

    ways = {
        "fused path": layer(path="fused", tuning=asdict(tuning)),
        "fused path, a product a gate": layer(path="fused", tuning=apart),
        "plain path": layer(path="plain"),
    }
    runs: dict[str, Any] = {
        name: lambda x, own=own: own(Features(x), every_step=False)[1][0]
        for name, own in ways.items()
    }
    loop = LOOPS[kind](INPUTS, HIDDEN)
    runs["literal loop"] = lambda x: loop(x, every_step=False)
    return {name: f"{a_step(run, False)}, {a_step(run, True)}" for name, run in runs.items()}


def a_step(run: Any, training: bool) -> int:
    """Operations that one more step calls."""
    called(run, 2, training)  # from now on gradients are added to those that are there
    return called(run, 4, training) - called(run, 3, training)


def called(run: Any, steps: int, training: bool) -> int:
    """Operations of a run over so many steps of one sequence, without those that only view."""
    x = torch.zeros(steps, 1, INPUTS)
    with Counter() as counter, torch.set_grad_enabled(training):
        output: Tensor = run(x)
        if training:
            output.sum().backward()
    return counter.operations


class Counter(TorchDispatchMode):
    """Counts the operations that torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        self.operations += name not in VIEWS
        return func(*args, **(kwargs or {}))


if __name__ == "__main__":
    sys.exit(main())
