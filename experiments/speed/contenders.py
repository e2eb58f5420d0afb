"""The contenders: the same network, implemented in several ways."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.speed.timing import Work
from experiments.speed.yardsticks import LAYERS, LOOPS, Layer, products
from rnnexp.nn.cell import Cell
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.recurrence import CellRecurrence, PathName
from rnnexp.nn.representations import Features
from rnnexp.process import determinism

AUTO, PLAIN, LOOP = "auto", "plain path", "literal loop"
PRODUCTS = "products"
OURS: Mapping[str, PathName] = {AUTO: "auto", PLAIN: "plain"}
# torch's layers go by their own names, such as nn.GRU.


@dataclass(frozen=True)
class Case:
    """The work to time: a cell over a batch of feature sequences.

    every_step: an output at every step instead of after the last one. training: with the gradients
    of all weights.
    """

    cell: type[Cell]
    batch: int
    steps: int
    hidden: int
    inputs: int = 12
    every_step: bool = True
    training: bool = True

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.steps} steps, hidden {self.hidden}"


def contenders(case: Case, ours: Mapping[str, PathName] = OURS) -> dict[str, Work]:
    """All contenders by name. torch has layers for some of the cells only. ours: the paths of our
    cells, by their names as contenders."""
    with determinism.global_stream(0, "speed"):
        x, target = inputs(case)
        recurrences: dict[str, nn.Module] = {
            **{name: Ours(case, path) for name, path in ours.items()},
            LOOP: LOOPS[case.cell](case.inputs, case.hidden),
        }
        if layer := LAYERS.get(case.cell):
            recurrences[f"nn.{layer.__name__}"] = Layer(layer, case.inputs, case.hidden)
        works = {name: _work(one, case, x, target) for name, one in recurrences.items()}
        return works | {PRODUCTS: _products(case)}


def contender(case: Case, name: str) -> Work:
    """One contender."""
    return contenders(case)[name]


def torchs(case: Case) -> list[str]:
    """The names of the contenders that need torch alone."""
    layer = LAYERS.get(case.cell)
    return [LOOP] + ([f"nn.{layer.__name__}"] if layer else [])


def ours(case: Case, path: PathName, tuning: Tuning) -> Work:
    """A cell of ours alone."""
    with determinism.global_stream(0, "speed"):
        x, target = inputs(case)
        return _work(Ours(case, path, tuning), case, x, target)


def products_of(case: Case) -> Work:
    """The products of a case alone."""
    with determinism.global_stream(0, "speed"):
        return _products(case)


def _products(case: Case) -> Work:
    cell = case.cell(case.inputs, case.hidden)
    return products(cell, case.batch, case.steps, case.training)


def inputs(case: Case) -> tuple[Tensor, Tensor]:
    """The inputs (T, B, I), and the targets (T, B, 1), or (1, B, 1) after the last step."""
    x = torch.randn(case.steps, case.batch, case.inputs)
    return x, torch.randn(case.steps if case.every_step else 1, case.batch, 1)


class Ours(nn.Module):
    """A cell of rnnexp over time, on one of its paths. tuning: None for that of this processor."""

    def __init__(self, case: Case, path: PathName, tuning: Tuning | None = None) -> None:
        super().__init__()
        self.recurrence = CellRecurrence(
            case.cell,
            case.inputs,
            case.hidden,
            path=path,
            tuning="auto" if tuning is None else asdict(tuning),
        )

    def forward(self, x: Tensor, every_step: bool) -> Tensor:
        hidden, (last, *_) = self.recurrence(Features(x), every_step)
        return hidden if every_step else last


def _work(recurrence: nn.Module, case: Case, x: Tensor, target: Tensor) -> Work:
    """One iteration with a linear output after the recurrence. The optimiser's step is left out: it
    is the same for all."""
    readout = nn.Linear(case.hidden, 1)
    parameters = list(nn.ModuleList([recurrence, readout]).parameters())

    def train() -> None:
        output = readout(recurrence(x, case.every_step))
        functional.l1_loss(output, target.view_as(output)).backward()
        for parameter in parameters:
            parameter.grad = None

    def predict() -> None:
        with torch.inference_mode():
            readout(recurrence(x, case.every_step))

    return train if case.training else predict
