"""When forecasts over a horizon are issued."""

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.calendar.frequency import Steps
from rnnexp.errors import UserError


@dataclass(frozen=True)
class Issue:
    """The issue times of the forecasts that are evaluated. What is observed at the issue time or
    later is not known to a forecast.

    lead: steps from the issue time to the first predicted one. at: clock time of the issue, e.g.
    "10:00"; None: the last horizon ends with the span. every: steps between issue times; None: one
    horizon, so that horizons follow one another, or with `at` a day.

    With a time zone `at` is by its clock. A clock time that it shows twice is the first one; on a
    day without it, no forecast is issued.

    Raises:
        UserError: a setting is not as said.
    """

    lead: Steps = 0
    at: str | None = None
    every: Steps | None = None

    def __post_init__(self) -> None:
        if self.lead < 0:
            raise UserError(f"data.issue.lead is {self.lead}: it must be at least 0")
        if self.every is not None and self.every < 1:
            raise UserError(f"data.issue.every is {self.every}: it must be at least 1")
        if self.at is not None:
            minute_of_day(self.at)

    def steps(
        self,
        minutes: Tensor | None,
        begin: int,
        end: int,
        horizon: int,
        season: int,
        dates: np.ndarray | None = None,
    ) -> Tensor:
        """The steps of a series at which forecasts are issued, ascending: (n,) int64. All that they
        predict lies in [begin, end).

        minutes: (M,), the minute of the day of each step, needed with `at` alone. season: steps of
        a day, for `at`. dates: datetime64[D] (M,), by the clock of a zone; None: all days have the
        same number of steps.

        Raises:
            UserError: no step has the clock time.
        """
        first, last = max(begin - self.lead, 0), end - self.lead - horizon
        if self.at is None:
            count = max(last - first, -1) // (self.every or horizon) + 1
            return last - (self.every or horizon) * torch.arange(count - 1, -1, -1)
        assert minutes is not None
        at = torch.from_numpy(np.flatnonzero(minutes.numpy() == minute_of_day(self.at)))
        if not len(at):
            raise UserError(
                f"data.issue.at={self.at}: no step of the series has this time of day; the first "
                f"is at {clock(int(minutes[0]))}"
            )
        days, rest = divmod(self.every or season, season)
        if rest:
            raise UserError(
                f"data.issue.every is {self.every}: with data.issue.at it must be whole days of "
                f"{season} steps"
            )
        if dates is not None:
            at = at[torch.from_numpy(np.unique(dates[at], return_index=True)[1])]
        at = at[(at >= first) & (at <= last)]
        if dates is None or not len(at):
            return at[::days]
        passed = (dates[at] - dates[at[0]]).astype(np.int64)
        return at[torch.from_numpy(passed % days == 0)]


def minute_of_day(at: str) -> int:
    """The minute of a clock time such as 10:00.

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(at))
    if not found:
        raise UserError(f"data.issue.at is {at!r}: write a clock time such as '\"10:00\"'")
    return 60 * int(found[1]) + int(found[2])


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
