"""What is measured: the cells, the sizes, the number of rounds."""

from dataclasses import dataclass, replace

from experiments.speed.contenders import Case
from rnnexp.nn.cells import MGU
from rnnexp.nn.fast.steps import STEPS


@dataclass(frozen=True)
class Plan:
    """The measurements of a study.

    tables: the cases of each table, by the row's name. growth: what becomes of `base` with these
    values on each axis; its own is among them. rounds: of each table, and of growth. apart: the
    tables in which torch's own stand as torch comes as well.
    """

    tables: dict[str, dict[str, Case]]
    base: Case
    growth: dict[str, list[int]]
    rounds: dict[str, int]
    apart: tuple[str, ...] = ("training", "inference", "every step")


def plan(
    iteration: Case,
    every_step: list[Case],
    of_cells: list[Case],
    base: Case,
    growth: dict[str, list[int]],
    rounds: dict[str, int],
) -> Plan:
    """The tables: an iteration of the lecture's pmGRU, training and inference; pmGRU with an output
    at every step; every cell with a fused path at some sizes."""
    tables = {
        "training": {str(iteration): iteration},
        "inference": {str(iteration): replace(iteration, training=False)},
        "every step": {str(case): case for case in every_step},
        "cells": {
            f"{cell.__name__}, {case}": replace(case, cell=cell)
            for case in of_cells
            for cell in STEPS
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
