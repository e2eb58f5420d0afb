"""Datetime conditioning (the lecture's name): the time features of a step.

The calendar of a series is four small integers per step (`calendar_of`). A conditioning turns them
into time features when a batch is made.
"""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnexp.errors import UserError

MINUTES, WEEKDAYS, MONTHS, DAYS = 1440, 7, 12, 366  # of a day, a week, a year, a leap year


def calendar_of(time: np.ndarray) -> Tensor:
    """datetime64 (M,) -> int16 (M, 4): minute of the day, day of the week, month and day of the
    year. All four count from 0; Monday is 0."""
    when = pd.DatetimeIndex(time)
    columns = [when.hour * 60 + when.minute, when.day_of_week, when.month - 1, when.day_of_year - 1]
    return torch.from_numpy(np.stack([np.asarray(c, dtype=np.int16) for c in columns], axis=1))


class Conditioning:
    """Turns calendar integers (..., 4) into float32 time features (..., size)."""

    size: int

    def encode(self, calendar: Tensor) -> Tensor:
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
    """Sines and cosines of the time of day (`harmonics` of each) and of the day of the year (one of
    each), and the day of the week one-hot. The features are continuous at midnight.

    Raises:
        UserError: `harmonics` is negative, or more than the minutes of a day tell apart.
    """

    def __init__(self, harmonics: int = 3) -> None:
        if not 0 <= harmonics <= MINUTES // 2:
            raise UserError(
                f"data.conditioning.harmonics is {harmonics}: it must be from 0 to {MINUTES // 2}"
            )
        self.size = 2 * harmonics + 2 + WEEKDAYS
        self.day = _waves(MINUTES, harmonics)
        self.week = torch.eye(WEEKDAYS)
        self.year = _waves(DAYS, 1)

    def encode(self, calendar: Tensor) -> Tensor:
        minute, weekday, _, day = calendar.long().unbind(-1)
        tables = (self.day[minute], self.week[weekday], self.year[day])
        return torch.cat(tables, dim=-1)


class NoColumns(Conditioning):
    """No time features."""

    size = 0

    def encode(self, calendar: Tensor) -> Tensor:
        return torch.empty(*calendar.shape[:-1], 0)


def _waves(period: int, harmonics: int) -> Tensor:
    """(period, 2 * harmonics): sines and cosines of k full turns over the period."""
    phase = torch.arange(period, dtype=torch.float64) * (2 * math.pi / period)
    turns = phase.unsqueeze(1) * torch.arange(1, harmonics + 1)
    return torch.cat([turns.sin(), turns.cos()], dim=1).float()
