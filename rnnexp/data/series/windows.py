"""Windows as views: the cleaned series are concatenated, and batches gathered by position.

Windows are never stored, so memory does not grow with the look-back.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.clock import DAY, Clock
from rnnexp.data.series.conditioning import Conditioning

AN_HOUR = np.timedelta64(3600, "s")


class SeriesBatch(NamedTuple):
    """B windows of T steps of C columns; values and targets in original units, as in the file."""

    values: Tensor  # (B, T, C) float64
    calendar: Tensor  # (B, T, K) float32, K time features
    series: Tensor  # (B,) int64
    target: Tensor  # (B, T) or (B, 1) float64: the value after each step, or after the last step
    weight: Tensor  # bool, the shape of `target`: which targets count in the loss
    scale: Tensor | None = None  # (B,) float64, as in `Windows`; None in training


@dataclass(frozen=True)
class Windows:
    """n evaluation windows: their positions in the store, and their targets."""

    start: Tensor  # (n,) int64, the first step of each window in the store
    target: Tensor  # (n,) float64, original units
    time: np.ndarray  # (n,) datetime64[s], the time of the target
    scale: Tensor  # (n,) float64, `seasonal_change` of the series before the evaluated span

    def __len__(self) -> int:
        return len(self.start)


class Store:
    """All series of a data set, concatenated: M steps.

    values (M, C) float64, calendar (M, n) int16, the conditioning's integers, observed (M,) bool.
    Series s consists of the steps first[s] .. first[s + 1] - 1.

    clock: by which the times of the series are read. step: the time between two of them.
    """

    def __init__(
        self,
        series: list[Series],
        conditioning: Conditioning,
        clock: Clock | None = None,
        step: np.timedelta64 = AN_HOUR,
    ) -> None:
        lengths = [len(one.time) for one in series]
        self.first = torch.tensor([0, *np.cumsum(lengths)])
        self.values = torch.from_numpy(np.concatenate([one.values for one in series]))
        self.clock, self.step = clock or Clock(), step
        local = [self.clock.local(one.time) for one in series]
        self.calendar = torch.cat([conditioning.calendar(time) for time in local])
        self.observed = torch.from_numpy(np.concatenate([one.observed for one in series]))
        self.conditioning = conditioning
        self._times = [one.time for one in series]

    def series_of(self, position: Tensor) -> Tensor:
        """The index of the series that each position belongs to: (n,) -> (n,)."""
        return torch.searchsorted(self.first, position, right=True) - 1

    @property
    def steps_a_day(self) -> int | None:
        """None: a day is no whole number of steps."""
        return int(DAY // self.step) if DAY % self.step == np.timedelta64(0, "s") else None

    def same_clock(self, position: Tensor, days: int | Tensor) -> Tensor:
        """The position of the step at which the clock showed the same time of the day, a number of
        days before: (...) -> (...). It may lie before the series.

        For an hour that the clock skipped on that day, the hour before. Of an hour that it showed
        twice, the second for the second one, and else the first. Without a time zone all days have
        the same number of steps.

        position: after the first step of a series; what lies after the last series continues it.
        """
        if not self.clock.of_instants:
            return position - days * int(DAY // self.step)
        time = self._time(position.numpy())
        passed = time - self.clock.days_before(time, np.asarray(days))
        return position - torch.from_numpy(-(-passed // self.step))

    def before(self, position: Tensor, lag: int) -> Tensor:
        """The position `lag` steps before, of which whole days are those of the clock."""
        if not self.clock.of_instants or self.steps_a_day is None:
            return position - lag
        days, rest = divmod(lag, self.steps_a_day)
        return self.same_clock(position, days) - rest

    def _time(self, position: np.ndarray) -> np.ndarray:
        """datetime64[s] of the shape of `position`, which is as in `same_clock`."""
        firsts = self.first.numpy()
        series = np.searchsorted(firsts[:-1], position - 1, side="right") - 1
        time = np.empty(position.shape, "datetime64[s]")
        for number in np.unique(series):
            own = series == number
            place, known = position[own] - firsts[number], self._times[number]
            last = np.minimum(place, len(known) - 1)
            time[own] = known[last] + (place - last) * self.step.astype("timedelta64[s]")
        return time

    def inputs(self, start: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of `length` steps from each start (B,): values (B, T, C), time features
        (B, T, K), series (B,)."""
        values = self.values.unfold(0, length, 1)[start].transpose(1, 2)  # (B, T, C)
        calendar = self.calendar.unfold(0, length, 1)[start].transpose(1, 2)  # (B, T, n)
        return values, self.conditioning.encode(calendar), self.series_of(start)

    def next_value_batch(self, start: Tensor, length: int) -> SeriesBatch:
        """Windows with one target: the value after the window."""
        following = (start + length).unsqueeze(1)
        target, weight = self.values[following, 0], self.observed[following]
        return SeriesBatch(*self.inputs(start, length), target, weight)

    def every_step_batch(self, start: Tensor, length: int, warm_up: int) -> SeriesBatch:
        """Windows with a target at every step: the value after the step. The first `warm_up`
        targets have weight False."""
        following = (start + 1).unsqueeze(1) + torch.arange(length)
        weight = self.observed[following]
        weight[:, :warm_up] = False
        return SeriesBatch(*self.inputs(start, length), self.values[following, 0], weight)

    def evaluation_batch(self, windows: Windows, chosen: slice, length: int) -> SeriesBatch:
        """Windows with the values of original rows as targets, never repaired values."""
        target = windows.target[chosen].unsqueeze(1)
        inputs = self.inputs(windows.start[chosen], length)
        weight = torch.ones_like(target, dtype=torch.bool)
        return SeriesBatch(*inputs, target, weight, windows.scale[chosen])


def seasonal_change(series: Series, rows: int, season: int) -> float:
    """The mean of |y(t) - y(t-season)| over the first `rows` rows of a series, as they are in the
    file: the scale of MASE. NaN if they hold no two values a season apart."""
    step, value = series.row_step[:rows], series.row_value[:rows]
    earlier = np.searchsorted(step, step - season)  # the first row of that step, if there is one
    change = np.abs(value - value[earlier])[step[earlier] == step - season]
    change = change[~np.isnan(change)]
    return float(change.mean()) if len(change) else np.nan
