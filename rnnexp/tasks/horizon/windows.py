"""Windows of the past with the horizon after it, as views of the store of all series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from rnnexp.data.series.windows import Store


class HorizonBatch(NamedTuple):
    """B windows of T steps of C columns, and the A steps after each, the last H of which are
    predicted; values in original units. With F forks, the last F steps of a window are each
    followed by a horizon of their own.

    Nothing of the steps after the window is in it but the time, the known columns and the target.
    """

    values: Tensor  # (B, T, C) float64
    calendar: Tensor  # (B, T + A, K) float32, K time features
    known: Tensor  # (B, A, N) float64, the N known columns after the window
    series: Tensor  # (B,) int64
    target: Tensor  # (B F, H) float64
    weight: Tensor  # (B F, H) bool: which targets are in the data, and not a repair
    scale: Tensor | None = None  # (B,) float64, of MASE; None in training
    mask: Tensor | None = None  # (B, T + A, C) bool: which values were observed; after the window
    # of known columns alone, the others are False. None: no masks


@dataclass(frozen=True)
class HorizonWindows:
    """n evaluation windows.

    start: (n,) int64, the first step of each window in the store. scale: (n,) float64, the mean of
    |y(t) - y(t-season)| over all steps of its series before the issue time, without repairs. lead:
    steps from the issue time to the first predicted one. horizon: steps that are predicted.
    """

    start: Tensor
    scale: Tensor
    lead: int
    horizon: int

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: Tensor | slice) -> Self:
        """Some of the windows."""
        return replace(self, start=self.start[chosen], scale=self.scale[chosen])


def batch_of(
    store: Store,
    start: Tensor,
    look_back: int,
    lead: int,
    horizon: int,
    known: Sequence[int],
    scale: Tensor | None = None,
    forks: int = 1,
) -> HorizonBatch:
    """The windows that begin at store positions `start` (B,). known: columns."""
    values, calendar, series = store.inputs(start, look_back + lead + horizon)
    issued = (start + look_back - forks + 1).unsqueeze(1) + torch.arange(forks)  # (B, F)
    after = issued.view(-1, 1) + lead + torch.arange(horizon)  # (B F, H)
    mask = store.mask_of(start, look_back + lead + horizon)
    if mask is not None:
        unknown = [column for column in range(mask.shape[2]) if column not in known]
        mask[:, look_back:, unknown] = False
    return HorizonBatch(
        values[:, :look_back],
        calendar,
        values[:, look_back:, list(known)],
        series,
        store.values[after, 0],
        store.observed[after],
        scale,
        mask,
    )


def seasonal_scales(values: Tensor, observed: Tensor, season: int, ends: Tensor) -> Tensor:
    """For each of `ends` (n,), the mean of |y(t) - y(t-season)| over the steps t < end of a series,
    where both are observed; NaN if there is none. values, observed: (M,)."""
    change = (values[season:] - values[:-season]).abs()
    both = observed[season:] & observed[:-season]
    sums = torch.cumsum(torch.where(both, change, 0.0), 0)
    counts = torch.cumsum(both, 0)
    last = ends - season - 1
    inside = last >= 0
    place = last.clamp(min=0)
    return torch.where(inside & (counts[place] > 0), sums[place] / counts[place], torch.nan)
