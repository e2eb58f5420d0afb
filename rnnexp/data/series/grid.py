"""The grid of the steps of a series: which rows it lacks or has twice, and what is refused."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import numpy as np

from rnnexp.config.typed import typed
from rnnexp.data.series.calendar.clock import AT_ONCE, Clock
from rnnexp.data.series.calendar.frequency import (
    Frequency,
    is_of_the_calendar,
    recognised,
    span,
    usual_distance,
)
from rnnexp.data.series.raw import RawSeries
from rnnexp.errors import UserError


def check_duplicates(raw: RawSeries, most: float, frequency: Frequency) -> int:
    """The number of rows with the time of the row before, which is limited."""
    found = int((np.diff(raw.time) == np.timedelta64(0, "s")).sum())
    an_hour = int(np.ceil(np.timedelta64(3600, "s") / frequency.step))
    if found > max(most * len(raw.time), an_hour):
        accept = f"set {typed('data.cleaning.most_duplicates', 1)} to merge them"
        remedy = f"{raw.apart}, or {accept}" if raw.apart else f"if they belong together, {accept}"
        raise UserError(
            f"{raw.place}: {found:,} of {len(raw.time):,} rows have the time of another row, more "
            f"than a clock change explains; {remedy}"
        )
    return found


def check_calendar(raw: RawSeries, frequency: Frequency) -> None:
    """Steps of the calendar have different lengths: no fixed length, and no gaps=keep, can stand
    for them, since the time after the last row would be wrong."""
    found = recognised(raw.clock.local(raw.time))
    if frequency.offset is None:
        if found is not None and is_of_the_calendar(found):
            why = "no row is on a weekend" if found == "B" else "the rows follow the calendar"
            raise UserError(
                f"{raw.place}: {why}, but data.frequency is {frequency}: set "
                f"{typed('data.frequency', found)}"
            )
        return
    off, steps = frequency.is_off(raw.time), frequency.steps_between(raw.time)
    apart = np.sort(steps[steps > 0])
    if off.any() or (len(apart) and apart[(len(apart) - 1) // 2] != 1):
        at = int(off.argmax())
        what = (
            f"{raw.clock.show(raw.time[at])} is not a step of data.frequency={frequency}"
            if off.any()
            else f"most rows are {apart[(len(apart) - 1) // 2]} steps of {frequency} apart"
        )
        other = found is not None and found != frequency.text
        offer = f"set {typed('data.frequency', found)}" if found and other else "correct the file"
        raise UserError(f"{raw.place}: {what}: {offer}")


def absent_steps(time: np.ndarray, frequency: Frequency) -> np.ndarray:
    """(N - 1,): how many steps are missing between each row and the next."""
    return np.maximum(frequency.steps_between(time) - 1, 0)


MOST_ABSENT = 99  # steps for each row; more are a wrong date, and would fill the memory


def check_grid(raw: RawSeries, time: np.ndarray, frequency: Frequency, longest_gap: float) -> None:
    show = raw.clock.show
    usual = usual_distance(time)
    if usual is not None and frequency.offset is None and usual != frequency.step:
        found = recognised(raw.clock.local(time))
        raise UserError(
            f"{raw.place}: most rows are {span(usual)} apart, but data.frequency is "
            f"{frequency}: set {typed('data.frequency', str(found))}, or "
            "data.cleaning.gaps=keep to take the rows as they are"
        )
    off_grid = frequency.is_off(time)
    if off_grid.any():
        at = int(off_grid.argmax())
        other = "leave out data.timezone if the steps follow the clock through its changes, "
        other = other if raw.clock.of_instants else ""
        raise UserError(
            f"{raw.place}: {show(time[at])} is not a whole number of steps of "
            f"{frequency} after {show(time[at - 1])}: correct the file, {other}or set "
            "data.cleaning.gaps=keep to take the rows as they are"
        )
    absent = absent_steps(time, frequency)
    if len(absent) and absent.max() > longest_gap:
        at = int(absent.argmax())
        raise UserError(
            f"{raw.place}: {absent[at]} steps are missing between {show(time[at])} and "
            f"{show(time[at + 1])}, more than data.cleaning.longest_gap={longest_gap}: set "
            "data.cleaning.gaps=keep to ignore gaps, or data.cleaning.missing=mask to mark what is "
            "missing"
        )
    if absent.sum() > MOST_ABSENT * len(time):
        at = int(absent.argmax())
        raise UserError(
            f"{raw.place}: {absent[at]:,} steps are missing between {show(time[at])} and "
            f"{show(time[at + 1])}, and the file has {len(time):,} rows: correct these dates, or "
            "set data.cleaning.gaps=keep to ignore gaps"
        )


def check_runs(raw: RawSeries, time: np.ndarray, observed: np.ndarray, longest_gap: float) -> None:
    """Missing steps, empty cells and outliers may adjoin: `longest_gap` also limits such a run."""
    edges = np.flatnonzero(np.diff(~observed, prepend=False, append=False)).reshape(-1, 2)
    lengths = edges[:, 1] - edges[:, 0]
    if lengths.max(initial=0) > longest_gap:
        at = int(lengths.argmax())
        raise UserError(
            f"{raw.place}: {lengths[at]} consecutive values from "
            f"{raw.clock.show(time[edges[at, 0]])} on need a repair, more than "
            f"data.cleaning.longest_gap={longest_gap}: remove these rows, raise "
            "data.cleaning.longest_gap, or set data.cleaning.missing=mask to mark what is missing"
        )


def insert_absent_steps(
    time: np.ndarray, values: np.ndarray, frequency: Frequency
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (M,) and values (M, C), NaN at inserted steps, and the new index (G,) of each step."""
    absent = absent_steps(time, frequency)
    place = np.arange(len(time)) + np.concatenate([[0], np.cumsum(absent)])
    steps = np.arange(place[-1] + 1)
    before = np.searchsorted(place, steps, side="right") - 1  # the last original step so far
    filled = np.full((len(steps), values.shape[1]), np.nan)
    filled[place] = values
    return frequency.after(time[before], steps - place[before]), filled, place


def after_long_gaps(
    raw: RawSeries, observed: np.ndarray, frequency: Frequency | None, longest_gap: int
) -> RawSeries:
    """The rows after the last gap that is too long to be filled; for prediction, which needs the
    end of a series alone.

    observed: bool (N,), which rows have a value. frequency: None: missing rows are no gaps.
    """
    known = np.flatnonzero(observed)
    if len(known) < 2:
        return raw
    absent = np.diff(known) - 1
    if frequency is not None:
        absent = np.maximum(absent, absent_steps(raw.time[known], frequency))
    long = np.flatnonzero(absent > longest_gap)
    if not len(long):
        return raw
    first = known[long[-1] + 1]
    return dataclasses.replace(raw, time=raw.time[first:], values=raw.values[first:])


# The rows that are read -------------------------------------------------------------------------


def cut(raw: RawSeries, until: np.datetime64 | None, last: int | None) -> RawSeries:
    """The last rows of a series before a time; none if it has none. until: None: to its end. last:
    None: all of them."""
    end = len(raw.time) if until is None else int(np.searchsorted(raw.time, until))
    begin = 0 if last is None else max(end - last, 0)
    if (begin, end) == (0, len(raw.time)):
        return raw
    return dataclasses.replace(raw, time=raw.time[begin:end], values=raw.values[begin:end])


def time_of(until: str, clock: Clock | None = None) -> np.datetime64:
    """The time of `data.until`, datetime64[s], as those of a series by a clock are.

    Raises:
        UserError: it is no ISO date or time; or it has a UTC offset, and the clock is of no zone.
    """
    clock = clock or Clock()
    try:
        found = datetime.fromisoformat(until)
    except ValueError:
        found = None
    if found is None or (found.tzinfo is not None and not clock.of_instants):
        offset = "" if clock.of_instants else " without an offset"
        raise UserError(
            f"data.until is {until!r}: write a date or a time{offset}, as the table of the series "
            "shows it, such as 2024-01-31 or '2024-01-31 13:00'"
        )
    if found.tzinfo is not None:
        return np.datetime64(found.astimezone(UTC).replace(tzinfo=None), "s")

    def refuse(wrong: np.ndarray, why: str) -> UserError:
        return UserError(
            f"data.until is {until!r}: the clock of {clock.timezone} was set forward over this "
            "time: write one that it showed"
        )

    time = np.array([found], "datetime64[s]")
    return dataclasses.replace(clock, late=AT_ONCE).from_local(time, refuse)[0]
