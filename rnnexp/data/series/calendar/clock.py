"""The clock of a place: what it shows at an instant, and when it showed the same before.

With a time zone, the times of a series are instants (UTC), so that its steps are equally spaced
through both changes of the clock. They are read and shown as the local clock shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd

from rnnexp.errors import UserError

KEY, ENDS = "data.timezone", "data.timestamps=end"
DAY, AT_ONCE = np.timedelta64(86400, "s"), np.timedelta64(0, "s")
NEVER = np.datetime64("0001-01-01T00:00:00")  # before all years that have zones
NEAR = 0.8  # of the names of cities, of which many are alike
YEARS = (2, 9997)  # the first and the last whose neighbours Python has too

Refuse = Callable[[np.ndarray, str], UserError]  # which times are wrong, and why


@dataclass(frozen=True)
class Clock:
    """The clock of a time zone.

    timezone: a name of the IANA database; None: times stay as they are written. by_day: the steps
    are a day or more. Then times are not instants but dates of the local calendar, since a day may
    have 23 or 25 hours. late: how long after the beginning of a step the clock showed the time that
    a file has for it.

    Raises:
        UserError: there is no such zone.
    """

    timezone: str | None = None
    by_day: bool = False
    late: np.timedelta64 = AT_ONCE

    def __post_init__(self) -> None:
        if self.timezone is not None and self.timezone not in _zones():
            raise UserError(f"{KEY}={self.timezone}: there is no such zone{_near(self.timezone)}")

    @cached_property
    def of_instants(self) -> bool:
        """Whether the times of a series are instants, and the clock shows others."""
        return self.timezone is not None and not self.by_day

    # Reading --------------------------------------------------------------------------------------

    def from_utc(self, time: np.ndarray) -> np.ndarray:
        """The times of a series (N,) from instants."""
        if self.timezone is None or self.of_instants or not len(time):
            return time
        return time + self._offsets(time).at(time)

    def from_local(self, time: np.ndarray, refuse: Refuse) -> np.ndarray:
        """The times of a series (N,) from those that the clock showed, in the order of the file.

        A clock that is set back shows an hour twice. Of two equal times in it, the first is the
        earlier one; the last is, if most rows of the file go back in time. A time that stands once
        is the earlier one, unless it stands among the later ones.

        Raises:
            UserError: by `refuse`, of times that the clock skipped, or that stand there more often
                than it showed them.
        """
        if not self.of_instants or not len(time):
            return time
        time = time - self.late
        offsets = self._offsets(time)
        number, skipped, twice = offsets.on_clock(time)
        if skipped.any():
            why = f"does not exist in {self.timezone}, whose clock was set forward over it"
            other = "" if self.late else f", or set {ENDS} if times are the ends of their steps"
            raise refuse(skipped, f"{why}: correct it, or write times with a UTC offset{other}")
        steps = np.diff(time)
        backwards = (steps < AT_ONCE).sum() > (steps > AT_ONCE).sum()
        rows = np.flatnonzero(twice)[:: -1 if backwards else 1]
        later, more = _later(time[rows], number[rows])
        if more.any():
            wrong = np.zeros(len(time), bool)
            wrong[rows[more]] = True
            why = f"stands in more than two rows, but the clock of {self.timezone} showed it twice"
            raise refuse(wrong, f"{why}: remove the others, or write times with a UTC offset")
        second = np.zeros(len(time), bool)
        second[rows] = later
        return time - offsets.values[number - (twice & ~second)] + self.late

    # Showing --------------------------------------------------------------------------------------

    def local(self, time: np.ndarray) -> np.ndarray:
        """What the clock shows at the times of a series, datetime64[s]."""
        return time + self._offsets(time).at(time) if self.of_instants and time.size else time

    def text(self, time: np.ndarray) -> np.ndarray:
        """The same as texts in ISO 8601. With a zone they end with the offset from UTC, which tells
        the two hours apart that the clock shows when it is set back."""
        texts = np.datetime_as_string(self.local(time), unit="s")
        if not self.of_instants or not time.size:
            return texts
        found, which = np.unique(self._offsets(time).at(time), return_inverse=True)
        ends = np.array([_signed(int(one.astype(np.int64))) for one in found])
        return np.char.add(texts, ends[which].reshape(texts.shape))

    def iso(self, time: np.datetime64) -> str:
        """The text of one time."""
        return str(self.text(np.array([time], "datetime64[s]"))[0])

    def show(self, time: np.datetime64) -> str:
        """One time, for a message."""
        return self.iso(time).replace("T", " ")

    def rules(self, time: np.ndarray) -> list[tuple[str, int]]:
        """The offset in seconds at the first of these times, and when it changes up to the last:
        what the database of zones says, which has versions."""
        if not self.of_instants:
            return []
        first, last = _ends(time)
        offsets = self._offsets(time)
        held = [
            (first, offsets.at(time[:1])[0]),
            *zip(offsets.instants, offsets.values[1:], strict=True),
        ]
        return [(str(one), int(value.astype(int))) for one, value in held if first <= one <= last]

    # The day before -------------------------------------------------------------------------------

    def days_before(self, time: np.ndarray, days: np.ndarray | int) -> np.ndarray:
        """The times at which the clock showed the same time of the day, a number of days before.

        For an hour that it skipped on that day, the hour before. Of an hour that it showed twice,
        the second for the second one, and else the first.
        """
        if not self.of_instants or not time.size:
            return time - days * DAY
        offsets = self._offsets(time)
        number, _, twice = offsets.on_clock(shown := time + offsets.at(time))
        second = twice & (offsets.number(time) == number)
        before = shown - days * DAY
        offsets = self._offsets(before)
        number, _, twice = offsets.on_clock(before)
        return before - offsets.values[number - (twice & ~second)]

    def _offsets(self, time: np.ndarray) -> _Offsets:
        """Those of all the years of these times, UTC or local."""
        first, last = (int(one.astype("datetime64[Y]").astype(int)) + 1970 for one in _ends(time))
        if first < YEARS[0] or last > YEARS[1]:
            wrong = first if first < YEARS[0] else last
            raise UserError(
                f"{KEY}={self.timezone}: the times have the year {wrong}, in which there are no "
                f"time zones: correct them, or set {KEY}=null"
            )
        return _offsets(str(self.timezone), first - 1, last + 1)


@dataclass(frozen=True)
class _Offsets:
    """The offsets from UTC of a zone over some years: values (K + 1,), timedelta64[s], which change
    at K instants. Changes lie more than a day apart."""

    instants: np.ndarray
    values: np.ndarray

    def number(self, time: np.ndarray) -> np.ndarray:
        """Which of the values holds at each instant."""
        return np.searchsorted(self.instants, time, side="right")

    def at(self, time: np.ndarray) -> np.ndarray:
        return self.values[self.number(time)]

    def on_clock(self, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For times that the clock shows: which value holds (after the change, where there are
        two), and whether the clock skipped the time, or showed it twice."""
        before, after = self.values[:-1], self.values[1:]
        begin = self.instants + np.minimum(before, after)
        until = np.concatenate([[NEVER], self.instants + np.maximum(before, after)])
        forward = np.concatenate([[False], after > before])
        number = np.searchsorted(begin, shown, side="right")
        within, forward = shown < until[number], forward[number]
        return number, within & forward, within & ~forward


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """All zones but those that differ from machine to machine, or are none."""
    return frozenset(available_timezones()) - {"localtime", "posixrules", "Factory"}


@lru_cache(maxsize=64)
def _offsets(timezone: str, first: int, last: int) -> _Offsets:
    """The offsets from the beginning of one year to the end of another."""
    zone, seconds = ZoneInfo(timezone), 86400
    begin = int(datetime(first, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(last + 1, 1, 1, tzinfo=UTC).timestamp())

    def offset(instant: int) -> int:
        shown = datetime.fromtimestamp(instant, UTC).astimezone(zone).utcoffset()
        assert shown is not None
        return round(shown.total_seconds())

    instants, values, now = [], [offset(begin)], begin
    while now < end:
        after = min(now + seconds, end)
        if offset(after) != values[-1]:  # the first second of the new offset lies in between
            low, high = now, after
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == values[-1] else (low, middle)
            instants.append(high)
            values.append(offset(high))
        now = after
    return _Offsets(np.array(instants, "datetime64[s]"), np.array(values, "timedelta64[s]"))


def _later(time: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of times that the clock showed twice, in the order in which they came: which are the second
    ones, and which stand there more than twice. number: of the change of the clock."""
    rows = pd.DataFrame({"time": time})
    place = rows.groupby("time").cumcount()
    count = rows.groupby("time")["time"].transform("size")
    known = place.where(count == 2).groupby(number)
    among = (known.ffill() == 1) & (known.bfill() != 0)
    later = (place == 1) | ((count == 1) & among)
    return later.to_numpy(bool), (count > 2).to_numpy(bool)


def _ends(time: np.ndarray) -> tuple[np.datetime64, np.datetime64]:
    return time.min(), time.max()


def _signed(seconds: int) -> str:
    """An offset as `+02:00`."""
    minutes, rest = divmod(abs(seconds), 60)
    text = f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    return text + f":{rest:02}" if rest else text


def _near(name: str) -> str:
    """The end of a message: the zone that was meant, also by its city alone. Where the region is
    one, the zone lies in it, or has this very city."""
    zones = [zone for zone in sorted(_zones()) if "/" in zone]
    folded = name.strip().replace(" ", "_").casefold()
    region, _, city = folded.rpartition("/")
    cities = {zone.rpartition("/")[2].casefold(): zone for zone in zones}
    there = {
        zone.rpartition("/")[2].casefold(): zone
        for zone in zones
        if zone.rpartition("/")[0].casefold() == region
    }
    near = get_close_matches(city, there or cities, n=1, cutoff=NEAR)
    meant = {zone.casefold(): zone for zone in _zones()}.get(folded)
    meant = meant or there.get(city) or cities.get(city)
    if meant or near:
        return f"; did you mean {meant or (there or cities)[near[0]]}?"
    return ": use e.g. Europe/Berlin, America/New_York or UTC"
