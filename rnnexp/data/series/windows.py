"""Windows as views: the cleaned series are concatenated, and batches gathered by position.

Windows are never stored, so memory does not grow with the look-back.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.loading.device import on
from rnnexp.data.series.calendar.clock import DAY, Clock
from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.conditioning import Conditioning
from rnnexp.data.series.memory import shared_axis

AN_HOUR = np.timedelta64(3600, "s")


class SeriesBatch(NamedTuple):
    """B windows of T steps of C columns; values and targets in original units, as in the file."""

    values: Tensor  # (B, T, C) float64
    calendar: Tensor  # (B, T, K) float32, K time features
    series: Tensor  # (B,) int64
    target: Tensor  # (B, T) or (B, 1) float64: the value after each step, or after the last step
    weight: Tensor  # bool, the shape of `target`: which targets count in the loss
    scale: Tensor | None = None  # (B,) float64, as in `Windows`; None in training
    mask: Tensor | None = None  # (B, T, C) bool: which values were observed; None: no masks


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

    values (M, C) float64, mask (M, C) bool, True where a value was observed; observed (M,), that of
    the target. Series s consists of the steps first[s] .. first[s + 1] - 1. Series on the same grid
    share its U times: axis (U,) datetime64, and calendar (U, n) int16, the conditioning's integers
    of what the clock shows then. The step at position p has the time at p + shift[s].

    masks: whether batches have a mask for the network. clock: by which the times of the series are
    read. step: the time between two of them.
    """

    def __init__(
        self,
        series: list[Series],
        conditioning: Conditioning,
        masks: bool = False,
        clock: Clock | None = None,
        step: np.timedelta64 = AN_HOUR,
    ) -> None:
        lengths = [len(one.time) for one in series]
        self.first = torch.tensor([0, *np.cumsum(lengths)])
        self.values = torch.from_numpy(np.concatenate([one.values for one in series]))
        self.clock, self.step = clock or Clock(), step
        self.mask = torch.from_numpy(np.concatenate([one.mask for one in series]))
        self.observed, self.masks = self.mask[:, 0], masks
        self.axis, begins = shared_axis([one.time for one in series])
        self.calendar = conditioning.calendar(self.clock.local(self.axis))
        self.shift = torch.from_numpy(begins) - self.first[:-1]
        self.conditioning = conditioning

    def on(self, device: torch.device | str) -> "Store":
        """A copy that gathers batches on this device, from positions there."""
        moved = on(self, device)
        moved.conditioning = on(self.conditioning, device)
        return moved

    def parts(self, series: list[Series]) -> list[Series]:
        """The series of the store, with parts of its arrays in the place of their own."""
        found = []
        for number, one in enumerate(series):
            own = slice(int(self.first[number]), int(self.first[number + 1]))
            begin = own.start + int(self.shift[number])
            time = self.axis[begin : begin + len(one.time)]
            values, mask = self.values[own].numpy(), self.mask[own].numpy()
            found.append(dataclasses.replace(one, time=time, values=values, mask=mask))
        return found

    def series_of(self, position: Tensor) -> Tensor:
        """The index of the series that each position belongs to: (n,) -> (n,)."""
        return torch.searchsorted(self.first, position, right=True) - 1

    def times(self, position: Tensor) -> np.ndarray:
        """datetime64, the shape of `position`: the time of each step."""
        return self.axis[self._on_axis(position).numpy()]

    def calendar_at(self, position: Tensor) -> Tensor:
        """The calendar of each step: (m,) -> (m, n)."""
        return self.calendar[self._on_axis(position)]

    def _on_axis(self, position: Tensor) -> Tensor:
        return position + self.shift[self.series_of(position)]

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
        time = self._continued(position)
        passed = time - self.clock.days_before(time, np.asarray(days))
        return position - torch.from_numpy(-(-passed // self.step))

    def before(self, position: Tensor, lag: int) -> Tensor:
        """The position `lag` steps before, of which whole days are those of the clock. position: as
        in `same_clock`."""
        if not self.clock.of_instants or self.steps_a_day is None:
            return position - lag
        days, rest = divmod(lag, self.steps_a_day)
        return self.same_clock(position, days) - rest

    def _continued(self, position: Tensor) -> np.ndarray:
        """datetime64[s], the shape of `position`, which is as in `same_clock`: `times`, and those
        after the end of a series."""
        series = torch.searchsorted(self.first[1:-1], position - 1, right=True)
        last = torch.minimum(position, self.first[series + 1] - 1)
        time = self.axis[(last + self.shift[series]).numpy()]
        return time + (position - last).numpy() * self.step.astype("timedelta64[s]")

    def inputs(self, start: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of `length` steps from each start (B,): values (B, T, C), time features
        (B, T, K), series (B,)."""
        series = self.series_of(start)
        values = self.values.unfold(0, length, 1)[start].transpose(1, 2)  # (B, T, C)
        begin = start + self.shift[series]
        calendar = self.calendar.unfold(0, length, 1)[begin].transpose(1, 2)  # (B, T, n)
        return values, self.conditioning.encode(calendar), series

    def mask_of(self, start: Tensor, length: int) -> Tensor | None:
        """Which values of these windows were observed: (B, T, C) bool; None without masks."""
        if not self.masks:
            return None
        return self.mask.unfold(0, length, 1)[start].transpose(1, 2)

    def next_value_batch(self, start: Tensor, length: int) -> SeriesBatch:
        """Windows with one target: the value after the window."""
        following = (start + length).unsqueeze(1)
        target, weight = self.values[following, 0], self.observed[following]
        mask = self.mask_of(start, length)
        return SeriesBatch(*self.inputs(start, length), target, weight, mask=mask)

    def every_step_batch(self, start: Tensor, length: int, warm_up: int) -> SeriesBatch:
        """Windows with a target at every step: the value after the step. The first `warm_up`
        targets have weight False."""
        following = (start + 1).unsqueeze(1) + torch.arange(length, device=start.device)
        weight = self.observed[following]
        weight[:, :warm_up] = False
        target, mask = self.values[following, 0], self.mask_of(start, length)
        return SeriesBatch(*self.inputs(start, length), target, weight, mask=mask)

    def evaluation_batch(self, windows: Windows, chosen: slice, length: int) -> SeriesBatch:
        """Windows with the values of original rows as targets, never repaired values."""
        target = windows.target[chosen].unsqueeze(1)
        inputs = self.inputs(windows.start[chosen], length)
        weight = torch.ones_like(target, dtype=torch.bool)
        mask = self.mask_of(windows.start[chosen], length)
        return SeriesBatch(*inputs, target, weight, windows.scale[chosen], mask)


def seasonal_change(series: Series, rows: int, season: int) -> float:
    """The mean of |y(t) - y(t-season)| over the first `rows` rows of a series, as they are in the
    file: the scale of MASE. NaN if they hold no two values a season apart."""
    step, value = series.row_step[:rows], series.row_value[:rows]
    earlier = np.searchsorted(step, step - season)  # the first row of that step, if there is one
    change = np.abs(value - value[earlier])[step[earlier] == step - season]
    change = change[~np.isnan(change)]
    return float(change.mean()) if len(change) else np.nan
