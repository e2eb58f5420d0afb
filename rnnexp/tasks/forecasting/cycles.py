"""Which cycle the error of a series is shown by: the hours of a day, the days of a week, or the
months of a year."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Cycle:
    """name: of the figure, error_by_NAME. label: of its axis. first, last: the numbers of its
    places. ticks: their names. places: the numbers of times."""

    name: str
    label: str
    first: int
    last: int
    ticks: dict[int, str]
    places: Callable[[pd.Series], pd.Series]


HOURS = Cycle(
    *("hour", "hour of the day", 0, 23),
    {hour: str(hour) for hour in range(0, 24, 3)},
    lambda time: time.dt.hour,
)
WEEKDAYS = Cycle(
    *("weekday", "weekday", 0, 6),
    dict(enumerate(calendar.day_abbr)),
    lambda time: time.dt.day_of_week,
)
MONTHS = Cycle(
    *("month", "month", 1, 12),
    {number: calendar.month_abbr[number] for number in range(1, 13)},
    lambda time: time.dt.month,
)


def cycle_of(step: pd.Timedelta) -> Cycle | None:
    """The shortest cycle that has several steps of this length; None for yearly steps."""
    if step < pd.Timedelta(days=1):
        return HOURS
    if step < pd.Timedelta(days=7):
        return WEEKDAYS
    return MONTHS if step < pd.Timedelta(days=300) else None


def usual_step(time: pd.Series) -> pd.Timedelta:
    """The median distance between the times of one series; 0 of a single one. NaT is left out."""
    distance = time.dropna().sort_values().diff().median()
    return pd.Timedelta(0) if pd.isna(distance) else pd.Timedelta(distance)
