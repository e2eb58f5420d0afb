"""The time between the steps of a series: a fixed length, or steps of the calendar."""

from __future__ import annotations

import re
import warnings
from datetime import timedelta
from typing import Annotated, cast

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset

from rnnexp.errors import UserError

Steps = Annotated[int, "a number of steps of data.frequency"]  # in a constructor, for messages

SECOND, DAY = np.timedelta64(1, "s"), np.timedelta64(1, "D")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
CALENDAR = re.compile(
    r"(?P<count>\d*)(?P<unit>B|W(?=-)|B?[MQY](?=[SE]))"
    rf"(?:(?<=W)-(?:{'|'.join(WEEKDAYS)})|(?<=M)[SE]|(?<=[QY])[SE](?:-(?:{'|'.join(MONTHS)}))?)?"
)
# Of each unit: the steps in a season (a working week, a year), and the fewest days of a step.
UNITS = {"B": (5, 1), "W": (52, 7), "M": (12, 25), "Q": (4, 85), "Y": (1, 360)}
KINDS = "1h, 30min or 1D, or of the calendar: B, W-MON, MS, ME, QS, QE, YS, YE"


class Frequency:
    """The steps of a series.

    text: a length of time such as `1h`, or pandas' name of a calendar offset: business days (B),
    weeks that end on a day (W-MON), and the starts and ends of months, quarters and years (MS, ME,
    QS, QE, YS, YE; of business months BMS, BME, ...; of other years QS-FEB, YE-JUN, ...).

    step: the time between steps, timedelta64; of the calendar, the shortest. season: steps in a
    day, or a week of steps of a day or more; of the calendar, in a working week or a year.

    Raises:
        UserError: the text is neither.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset: BaseOffset | None = None
        match = CALENDAR.fullmatch(text)
        if match is None:
            self.step = _length(text)
            self.season = steps_in_a_season(self.step)
            return
        count = int(match["count"] or 1)
        if count == 0:
            raise UserError(f"data.frequency={text!r} must be positive: use e.g. {KINDS}")
        season, days = UNITS[match["unit"].removeprefix("B") or "B"]
        self.offset = to_offset(text)
        self.step = np.timedelta64(count * days, "D")
        self.season = season // count if season % count == 0 else 1

    def __str__(self) -> str:
        """In words, for messages."""
        return span(self.step) if self.offset is None else self.text

    @property
    def key(self) -> str:
        """What tells it from other frequencies, for caches."""
        return str(self.step) if self.offset is None else self.text

    def steps_between(self, time: np.ndarray) -> np.ndarray:
        """How many whole steps lie between each of the sorted times (N,) and the next: (N - 1,)."""
        if self.offset is None:
            return np.diff(time) // self._seconds
        return np.diff(self._position(time)[0])

    def is_off(self, time: np.ndarray) -> np.ndarray:
        """bool (N,): which of the sorted times are not a whole number of steps after the one
        before; of the calendar, which are no steps at all."""
        if self.offset is None:
            off = np.diff(time) % self._seconds != np.timedelta64(0, "s")
            return np.concatenate([[False], off])
        position, grid = self._position(time)
        return grid[position] != time

    def after(self, time: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
        """The times (N,) that lie a number of steps after these, which are sorted."""
        if self.offset is None:
            return time + steps * self._seconds
        position, grid = self._position(time, int(np.max(steps)))
        return grid[position + steps]

    def steps_in(self, text: str) -> float:
        """The number of steps, perhaps not a whole one, in a length of time such as `14h`; of the
        calendar, in a number of its own steps such as `3MS`.

        Raises:
            ValueError: the text is neither.
        """
        count, own = _counted(self.text)
        if self.offset is not None and _counted(text)[1] == own:
            return _counted(text)[0] / count
        if self.offset is not None and not own.startswith("W"):
            raise ValueError(f"it must be a number of steps such as {3 * count}{own}")
        try:
            if not re.search("[A-Za-z]", text):  # pandas takes a bare number for nanoseconds
                raise ValueError
            length = _timedelta(text)
        except ValueError as error:
            why = "it must be a length of time such as 30min, 14h or 30D"
            raise ValueError(why) from error
        return float(length / pd.Timedelta(self.step))

    @property
    def _seconds(self) -> np.timedelta64:
        return self.step.astype("timedelta64[s]")

    def _position(self, time: np.ndarray, more: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The last step of the calendar up to each of the sorted times, and all the steps from the
        first time on, `more` of them after the last."""
        offset = cast(BaseOffset, self.offset)
        first = offset.rollback(pd.Timestamp(time[0]))
        most = int((time[-1] - time[0]) / self.step) + more + 3
        grid = pd.date_range(first, periods=most, freq=offset).to_numpy().astype("datetime64[s]")
        return np.searchsorted(grid, time, side="right") - 1, grid


def steps_in_a_season(step: np.timedelta64) -> int:
    """The steps in a day for steps shorter than a day, in a week for longer ones; at least 1."""
    week = np.timedelta64(7, "D")
    return int(DAY // step) if step < DAY else max(int(week // step), 1)


def usual_distance(time: np.ndarray) -> np.timedelta64 | None:
    """The median time between consecutive distinct times; None if all times are equal."""
    distance = np.diff(time)
    apart = np.sort(distance[distance > np.timedelta64(0, "s")])
    return apart[(len(apart) - 1) // 2] if len(apart) else None


def span(length: np.timedelta64) -> str:
    """A length of time in words, e.g. `1 day` or `1:00:00`."""
    return str(timedelta(seconds=int(length / SECOND))).removesuffix(", 0:00:00")


def _counted(text: str) -> tuple[int, str]:
    """A calendar offset as number and unit: 2MS -> 2, MS."""
    unit = text.lstrip("0123456789")
    return int(text[: len(text) - len(unit)] or 1), unit


def _timedelta(text: str) -> pd.Timedelta:
    """A length of time; a unit alone is one of it.

    Raises:
        ValueError: it is none, or too long.
    """
    bare = re.fullmatch(r"[A-Za-z]+", text) and text != "W"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # H for h still is a length of time
            found = pd.Timedelta(f"1{text}" if bare else text or "empty")
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if pd.isna(found):
        raise ValueError(text)
    return found


def _length(text: str) -> np.timedelta64:
    try:
        length = _timedelta(text)
    except ValueError as error:
        raise UserError(
            f"data.frequency={text!r} is not a length of time: use e.g. {KINDS}"
        ) from error
    step = length.to_timedelta64()
    if not step > np.timedelta64(0, "s"):
        raise UserError(f"data.frequency={text!r} must be positive: use e.g. {KINDS}")
    if step % SECOND != np.timedelta64(0, "s"):
        raise UserError(f"data.frequency={text!r} must be whole seconds: use e.g. {KINDS}")
    return step


# Recognition ------------------------------------------------------------------------------------

FEW_ROWS = 10  # fewer rows without a weekend are no evidence of business days


def recognised(time: np.ndarray) -> str | None:
    """The frequency, as it has to be typed, that most of the sorted times of a series follow; None:
    there is no next time."""
    usual = usual_distance(time)
    if usual is None:
        return None
    days = np.unique(time.astype("datetime64[D]"))
    if usual >= 25 * DAY and (found := _months(days)):
        return found
    weekday = (days.astype(np.int64) + 3) % 7  # Monday is 0
    if usual == DAY and len(days) >= FEW_ROWS and weekday.max() < 5:
        return "B"
    if usual == 7 * DAY and len(set(weekday)) == 1:
        return f"W-{WEEKDAYS[weekday[0]]}"
    seconds = int(usual / SECOND)
    for unit, length in (("D", 86400), ("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _months(days: np.ndarray) -> str | None:
    """The frequency of days that are all the first of a month, or all the last."""
    month = days.astype("datetime64[M]")
    first, following = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
    kinds = {
        "{}S": first,
        "{}E": following - 1,
        "B{}S": np.busday_offset(first, 0, roll="forward"),
        "B{}E": np.busday_offset(following, -1, roll="forward"),
    }
    kind = next((name for name, ideal in kinds.items() if (days == ideal).all()), None)
    number = month.astype(np.int64)  # January 1970 is 0
    apart = np.diff(number)
    if kind is None or not len(apart):
        return None
    usual = int(np.sort(apart)[(len(apart) - 1) // 2])
    if usual not in (3, 12) or (apart % usual).any():
        return f"{usual if usual > 1 else ''}{kind.format('M')}" if usual in (1, 2, 6) else None
    unit = "Q" if usual == 3 else "Y"
    anchor = int(number[0] % usual)  # the first month, within a quarter or a year
    default = 0 if kind.endswith("S") else usual - 1
    return kind.format(unit) + ("" if anchor == default else f"-{MONTHS[anchor]}")


def is_of_the_calendar(frequency: str) -> bool:
    """Whether a fixed length cannot stand for this frequency."""
    return CALENDAR.fullmatch(frequency) is not None and not frequency.startswith("W")
