"""How series are kept in memory: the rows that differ from their steps, and one axis of times for
all series on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MOST_TRIED = 4  # grids side by side, e.g. full and half hours; more are kept apart


@dataclass(frozen=True)
class Rows:
    """The N rows of the file, beside the M steps of the cleaned series.

    Most rows have the time and the value of their step. Only the K others are kept: of merged or
    dropped rows, and of values that were repaired.
    """

    step: np.ndarray | None  # int32, (N,), non-decreasing: the step of each row; None: row n is n
    apart: np.ndarray  # int32, (K,): the rows whose value or time is not that of their step
    value: np.ndarray  # float64, (K,)
    time: np.ndarray  # datetime64[s], (K,)

    @classmethod
    def beside(
        cls,
        time: np.ndarray,
        target: np.ndarray,
        row_step: np.ndarray,
        row_value: np.ndarray,
        row_time: np.ndarray,
    ) -> Rows:
        """time, target: of the steps, (M,). The others: of the rows, (N,)."""
        place = np.minimum(row_step, len(time) - 1)
        same = (row_value.view(np.int64) == target[place].view(np.int64)) & (
            row_time == time[place]
        )
        apart = np.flatnonzero(~same)
        in_place = len(row_step) == len(time) and bool((row_step == np.arange(len(time))).all())
        return cls(
            None if in_place else row_step.astype(np.int32),
            apart.astype(np.int32),
            row_value[apart],
            row_time[apart],
        )

    def steps(self, length: int) -> np.ndarray:
        """int64 (N,): the step of each row. length: of the series, M."""
        return np.arange(length) if self.step is None else self.step.astype(np.int64)

    def values(self, target: np.ndarray) -> np.ndarray:
        """(N,): the target value of each row. target: that of the steps, (M,)."""
        return self._of_rows(target, self.value)

    def times(self, time: np.ndarray) -> np.ndarray:
        """(N,): the time of each row. time: that of the steps, (M,)."""
        return self._of_rows(time, self.time)

    def _of_rows(self, of_steps: np.ndarray, own: np.ndarray) -> np.ndarray:
        place = np.minimum(self.steps(len(of_steps)), len(of_steps) - 1)
        found: np.ndarray = of_steps[place]
        found[self.apart] = own
        return found


def shared_axis(times: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One array (U,) of times in which each series lies in one piece, and where it begins: int64
    (S,). times: of each series, sorted.

    A series joins a grid if it has every time of the grid from its own first one on.
    """
    grids: list[_Grid] = []
    own = [(0, 0)] * len(times)  # the grid of each series, and the place in it
    for number in sorted(range(len(times)), key=lambda one: times[one][0]):
        joined = range(len(grids) - 1, max(len(grids) - 1 - MOST_TRIED, -1), -1)
        for grid in joined:
            place = grids[grid].join(times[number])
            if place is not None:
                own[number] = grid, place
                break
        else:
            own[number] = len(grids), 0
            grids.append(_Grid(times[number]))
    begins = np.cumsum([0, *(grid.length for grid in grids)])
    axis = np.concatenate([part for grid in grids for part in grid.parts])
    return axis, np.array([begins[grid] + place for grid, place in own], dtype=np.int64)


@dataclass
class _Grid:
    """last: the series that ends last. Series come in the order of their first times, so all of the
    grid that a later one can overlap lies in it."""

    last: np.ndarray
    parts: list[np.ndarray] = field(init=False)
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.parts, self.length = [self.last], len(self.last)

    def join(self, time: np.ndarray) -> int | None:
        """The place of a series in the grid, which grows if the series ends later; None: it does
        not lie on it."""
        overlap = self.last[np.searchsorted(self.last, time[0]) :]
        common = min(len(overlap), len(time))
        if common == 0 or not np.array_equal(overlap[:common], time[:common]):
            return None
        place = self.length - len(overlap)
        if len(time) > common:
            self.parts.append(time[common:])
            self.length += len(time) - common
            self.last = time
        return place
