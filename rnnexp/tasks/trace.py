"""What a trained network does with one text or one series, step after step (`rnnexp trace`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from torch import nn

from rnnexp.errors import UserError
from rnnexp.nn.recurrence import Recurrence
from rnnexp.nn.representations import Sequences
from rnnexp.nn.states import LayerStates, layer_states, layers_of
from rnnexp.tables import Column, Table, number
from rnnexp.tasks.answers import QUOTED, cut, one_line


class CannotTrace(UserError):
    """One text cannot be traced, while others may be.

    fault: the end of a sentence that begins with the text. advice: what to give instead.
    """

    def __init__(self, fault: str, advice: str = "give another text") -> None:
        super().__init__(f"the text {fault}: {advice}")
        self.fault = fault


@dataclass(frozen=True)
class Trace:
    """A network over T steps.

    title: what was read, and with which result. name: of the files. steps: (T,) the words, or the
    times in ISO 8601; thing: what a step is: word, character or time.
    curves: what the network answers after each step, (T,) by its label, the most important one
    first. axis: what they are, with the unit. actual: (T,) what came after each step, NaN where
    that is not known. even: the value at which the answer turns; bounded: whether they are
    probabilities.
    states: of one layer, one entry for each direction. layer: which, if there are several.
    contributions: (T,) of the inputs of each step, and contributed, to what. sides: for what those
    above and below 0 speak.
    unknown: the steps whose word the network does not know. notes: sentences on how the input was
    read. times: (T,) datetime64, as the clock shows them; None for words.
    """

    title: str
    name: str
    steps: list[str]
    thing: str
    curves: dict[str, np.ndarray]
    axis: str
    states: list[LayerStates]
    layer: str
    actual: np.ndarray | None = None
    even: float | None = None
    bounded: bool = False
    contributions: np.ndarray | None = None
    contributed: str = ""
    sides: tuple[str, str] = ("", "")
    unknown: frozenset[int] = frozenset()
    notes: list[str] = field(default_factory=list)
    times: np.ndarray | None = None

    def frame(self) -> pd.DataFrame:
        """One row per step: step (from 1), the word or time, the answers after it, and what came,
        or the contribution of the word."""
        columns: dict[str, object] = {"step": np.arange(1, len(self.steps) + 1)}
        columns |= {self.thing: self.steps, **self.curves}
        if self.actual is not None:
            columns["actual"] = self.actual
        if self.contributions is not None:
            columns["contribution"] = self.contributions
        return pd.DataFrame(columns)

    def table(self) -> Table:
        """The same for the console."""
        frame = self.frame()
        columns = [
            Column("step", numbers=True),
            Column(self.thing, wraps=False),
            *(Column(str(name), numbers=True) for name in frame.columns[2:]),
        ]
        rows = [
            [str(step), self._label(word)]
            + [self._cell(name, value) for name, value in zip(frame.columns[2:], rest, strict=True)]
            for step, word, *rest in frame.itertuples(index=False)
        ]
        return Table(self.title, columns, rows)

    def _label(self, step: str) -> str:
        return cut(one_line(step), QUOTED) if self.times is None else step.replace("T", " ")

    def _cell(self, name: str, value: float) -> str:
        if np.isnan(value):
            return ""
        if name == "contribution":
            return f"{value:+.3f}"
        return f"{value:.3f}" if self.bounded else number(value)


def traced_layer(
    network: nn.Module, x: Sequences, layer: int | None
) -> tuple[list[LayerStates], str]:
    """The states of a layer of the network's recurrence, and which layer it is, in words.

    x: one sequence, the inputs of the recurrence. layer: from 1, the lowest; None: the top one.

    Raises:
        UserError: there is no such layer, or the network's states cannot be seen.
    """
    recurrence = getattr(network, "recurrence", None)
    if not isinstance(recurrence, Recurrence):
        raise UserError(
            f"{type(network).__name__} cannot be traced: it has no `recurrence` that shows its "
            "states; the lecture's networks (model=lecture/...) have the same equations as "
            "model=textnet, textnet_order2, grunet and pmgru, which can"
        )
    count = layers_of(recurrence)
    chosen = count if layer is None else layer
    if not 1 <= chosen <= count:
        has = "one layer, 1" if count == 1 else f"the layers 1 to {count}, from the input upwards"
        raise UserError(f"--layer {layer}: this network has {has}")
    try:
        states = layer_states(recurrence, x, chosen - 1)
    except ValueError as error:
        raise UserError(f"the network cannot be traced: {error}") from error
    return states, f"layer {chosen} of {count}" if count > 1 else ""


def largest_change(curves: Sequence[np.ndarray]) -> int:
    """The step, from 0, at which the answers changed most from the step before."""
    if len(curves[0]) == 1:
        return 0
    return int(np.abs(np.diff(np.stack(curves))).sum(0).argmax()) + 1
