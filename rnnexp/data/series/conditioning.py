"""Datetime conditioning (the lecture's name): the time features of a step.

The calendar of a series is a few small integers per step, which a conditioning reads off the clock
once, and turns into time features when a batch is made.
"""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnexp.data.holidays import PublicHolidays
from rnnexp.errors import UserError

MINUTES, WEEKDAYS, MONTHS, DAYS = 1440, 7, 12, 366  # of a day, a week, a year, a leap year


class Conditioning:
    """Time features. `calendar` begins with the four columns that it has here; baselines read
    them too."""

    size: int

    def calendar(self, time: np.ndarray) -> Tensor:
        """Local times datetime64 (M,) -> int16 (M, n): minute of the day, day of the week, month
        and day of the year. All four count from 0; Monday is 0."""
        when = pd.DatetimeIndex(time)
        minute = when.hour * 60 + when.minute
        columns = [minute, when.day_of_week, when.month - 1, when.day_of_year - 1]
        return torch.from_numpy(np.stack([np.asarray(c, dtype=np.int16) for c in columns], axis=1))

    def encode(self, calendar: Tensor) -> Tensor:
        """int16 (..., n) -> float32 time features (..., size)."""
        raise NotImplementedError


class LectureColumns(Conditioning):
    """The lecture's four time features: hour, day of the week, month, day of the year.

    Each is divided by its largest possible value. For a file that covers a leap year this equals
    the lecture's min-max scaling.
    """

    size = 4

    def encode(self, calendar: Tensor) -> Tensor:
        largest = [MINUTES / 60 - 1, WEEKDAYS - 1, MONTHS - 1, DAYS - 1]
        columns = calendar.float()
        columns[..., 0] = torch.div(columns[..., 0], 60, rounding_mode="floor")
        return columns / columns.new_tensor(largest)


class CyclicColumns(Conditioning):
    """Sines and cosines of the time of day (`harmonics` of each) and of the day of the year
    (`year_harmonics` of each), the day of the week one-hot, and 1 on a public holiday. The waves
    are continuous at midnight.

    holidays: a country, or one of its subdivisions, e.g. `DE-BY` (`PublicHolidays`); None: there is
    no such feature.

    Raises:
        UserError: the number of harmonics is negative, or more than the minutes of a day or the
            days of a year tell apart; the holidays are not known.
    """

    def __init__(
        self, harmonics: int = 3, year_harmonics: int = 1, holidays: str | None = None
    ) -> None:
        for key, value, most in (
            ("harmonics", harmonics, MINUTES // 2),
            ("year_harmonics", year_harmonics, DAYS // 2),
        ):
            if not 0 <= value <= most:
                raise UserError(f"data.conditioning.{key} is {value}: it must be from 0 to {most}")
        self.holidays = None if holidays is None else PublicHolidays(holidays)
        self.size = 2 * harmonics + 2 * year_harmonics + WEEKDAYS + (holidays is not None)
        self.day = _waves(MINUTES, harmonics)
        self.week = torch.eye(WEEKDAYS)
        self.year = _waves(DAYS, year_harmonics)

    def calendar(self, time: np.ndarray) -> Tensor:
        """As that of every conditioning, and with `holidays` a fifth column: 1 on a holiday.

        Raises:
            UserError: the holidays of a year are not known.
        """
        columns = super().calendar(time)
        if self.holidays is None:
            return columns
        found = torch.from_numpy(self.holidays.among(time.astype("datetime64[D]")))
        return torch.cat([columns, found.to(columns.dtype).unsqueeze(1)], 1)

    def encode(self, calendar: Tensor) -> Tensor:
        minute, weekday, _, day, *holiday = calendar.long().unbind(-1)
        tables = [self.day[minute], self.week[weekday], self.year[day]]
        tables += [one.float().unsqueeze(-1) for one in holiday]
        return torch.cat(tables, dim=-1)


class NoColumns(Conditioning):
    """No time features."""

    size = 0

    def encode(self, calendar: Tensor) -> Tensor:
        return torch.empty(*calendar.shape[:-1], 0, device=calendar.device)


def _waves(period: int, harmonics: int) -> Tensor:
    """(period, 2 * harmonics): sines and cosines of k full turns over the period."""
    phase = torch.arange(period, dtype=torch.float64) * (2 * math.pi / period)
    turns = phase.unsqueeze(1) * torch.arange(1, harmonics + 1)
    return torch.cat([turns.sin(), turns.cos()], dim=1).float()
