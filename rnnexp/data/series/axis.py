"""One axis of times for many series: series on the same grid share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MOST_TRIED = 4  # grids side by side, e.g. full and half hours; more are kept apart


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
