"""The original rows of a series, kept only where they differ from its steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
