"""Repairs a raw series by named policies, and counts its defects.

Three rules hold for all policies:

- Repairs change the inputs, never the test targets: a `Series` keeps the original rows and their
  values beside the cleaned steps.
- A repaired value is never a training target (`Series.mask`).
- Every repair is causal: it uses earlier steps only. Interpolation between both neighbours would
  leak the later value, which the network has to predict. (One exception: steps before the first
  observed value take that value.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

import numpy as np

from rnnexp.data.series.calendar.frequency import Frequency, Steps
from rnnexp.data.series.grid import (
    absent_steps,
    check_calendar,
    check_duplicates,
    check_grid,
    check_runs,
    insert_absent_steps,
)
from rnnexp.data.series.memory import Rows
from rnnexp.data.series.raw import RawSeries
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.tables import Column, Table

MOST_NEGATIVE = 0.05  # of the training values; a series with more of them crosses zero


@dataclass(frozen=True)
class Cleaning:
    """One policy for each kind of defect.

    duplicates: rows of equal time are merged into one step (first, last or mean value), or kept as
        separate steps.
    gaps: missing steps are inserted, so that the steps are equally spaced, or ignored. (With
        duplicates=keep, the duplicates stay beside the inserted steps.)
    missing: empty cells are filled, or their rows are dropped. (With gaps=fill, a dropped row
        leaves a gap, which is filled.) mask: networks are told which values are missing, those of
        inserted steps and treated outliers too, and read 0 in their place; what needs a value, such
        as the forecast that a network starts from, takes the repair.
    outliers: values near zero, i.e. below near_zero * median of the training rows, are repaired or
        kept. A series that crosses zero (median not positive, or over 5 % negative) has none.
    longest_gap: most consecutive steps that may be missing; a longer gap is an error. It does not
        limit what is masked.
    most_duplicates: largest share of rows that may have the time of another row (always the steps
        of one hour, which a clock change repeats); more are an error.

    Raises:
        UserError: a policy does not exist, or a number is out of range.
    """

    duplicates: Literal["keep", "first", "last", "mean"] = "mean"
    gaps: Literal["keep", "fill"] = "fill"
    missing: Literal["drop", "fill", "mask"] = "fill"
    outliers: Literal["keep", "fill"] = "fill"
    near_zero: float = 0.2
    longest_gap: Steps = 168
    most_duplicates: float = 1.0

    def __post_init__(self) -> None:
        for policy, kind in get_type_hints(Cleaning).items():
            choices, value = get_args(kind), getattr(self, policy)
            if choices and value not in choices:
                hint = did_you_mean(str(value), choices)
                raise UserError(f"data.cleaning.{policy} cannot be {value!r}{hint}")
        if not 0 <= self.near_zero < 1:
            raise UserError(
                f"data.cleaning.near_zero is {self.near_zero}: it must be at least 0 and below 1"
            )
        if self.longest_gap < 0:
            raise UserError(
                f"data.cleaning.longest_gap is {self.longest_gap}: it must be at least 0"
            )
        if not 0 <= self.most_duplicates <= 1:
            raise UserError(
                f"data.cleaning.most_duplicates is {self.most_duplicates}: it must be at least 0 "
                "and at most 1"
            )

    @property
    def masks(self) -> bool:
        """Whether networks are told which values are missing."""
        return self.missing == "mask"

    @property
    def longest_run(self) -> float:
        """The most consecutive steps that may be missing."""
        return math.inf if self.masks else self.longest_gap


@dataclass(frozen=True)
class Series:
    """A cleaned series: M steps, which are the inputs, and the N original rows, which are targets.

    The arrays of a series in a store are parts of those of the store.
    """

    name: str
    time: np.ndarray  # datetime64[s], (M,)
    values: np.ndarray  # float64, (M, C), no NaN
    mask: np.ndarray  # bool, (M, C): True where a value was observed, False where it was repaired
    rows: Rows  # sorted by time

    @property
    def observed(self) -> np.ndarray:
        """bool, (M,): False where the target was repaired."""
        return self.mask[:, 0]

    @property
    def row_step(self) -> np.ndarray:
        """int64, (N,), non-decreasing: the step of each row; of a dropped row the next step in
        time, or M if there is none."""
        return self.rows.steps(len(self.time))

    @property
    def row_value(self) -> np.ndarray:
        """float64, (N,): the target value in the file; NaN: an empty cell."""
        return self.rows.values(self.values[:, 0])

    @property
    def row_time(self) -> np.ndarray:
        """datetime64[s], (N,)."""
        return self.rows.times(self.time)


@dataclass(frozen=True)
class CleaningReport:
    """The defects of one file, counted before any repair."""

    name: str
    rows: int
    first: np.datetime64  # as the clock shows it
    last: np.datetime64
    duplicates: int  # rows with the time of the row before
    gaps: int  # runs of missing steps
    absent: int  # missing steps of all gaps together
    longest_gap: int  # missing steps of the longest gap
    missing: int  # empty cells of all columns
    empty: int  # of these, those of the target
    outliers: int  # target values near zero
    steps: int  # steps after cleaning
    repaired: int  # steps with a repaired target
    masked: bool  # these are marked as missing
    utc: bool  # times were written with a UTC offset, and are UTC

    def defects(self) -> dict[str, int]:
        """What was found, by the names of the fields; what was not found is left out."""
        names = ("duplicates", "gaps", "absent", "longest_gap", "missing", "outliers")
        counts = {name: getattr(self, name) for name in names}
        counts["masked" if self.masked else "repaired"] = self.repaired
        return {name: count for name, count in counts.items() if count}


def clean(
    raw: RawSeries,
    cleaning: Cleaning,
    *,
    frequency: Frequency,
    season: int,
    training_rows: int,
) -> tuple[Series, CleaningReport]:
    """Clean one series.

    Args:
        frequency: the time between consecutive steps.
        season: steps in one period of the series, 24 for hourly load.
        training_rows: the median of the first `training_rows` rows sets the near-zero threshold.

    Raises:
        UserError: too many rows have the same time, the rows are not equally spaced, a gap is too
            long to be filled, or every row has an empty cell that the policy would drop.
    """
    duplicates = check_duplicates(raw, cleaning.most_duplicates, frequency)
    check_calendar(raw, frequency)
    low = near_zero(raw.values[:, 0], cleaning.near_zero, training_rows)
    empty = np.isnan(raw.values)

    values = raw.values.copy()
    if cleaning.outliers == "fill":
        values[low, 0] = np.nan
    rows = np.full(len(values), True)
    if cleaning.missing == "drop":
        rows = ~empty.any(axis=1)
        if not rows.any():
            raise UserError(
                f"{raw.place}: every row has an empty cell; set data.cleaning.missing=fill"
            )

    time, values, merged = merge_duplicates(raw.time[rows], values[rows], cleaning.duplicates)
    if cleaning.gaps == "fill":
        check_grid(raw, time, frequency, cleaning.longest_run)
        time, values, placed = insert_absent_steps(time, values, frequency)
        merged = placed[merged]
    mask = ~np.isnan(values)
    check_runs(raw, time, mask[:, 0], cleaning.longest_run)
    values[:, 0] = _repair_target(values[:, 0], season)
    values[:, 1:] = _carry_forward(values[:, 1:])

    row_step = np.searchsorted(time, raw.time)
    row_step[rows] = merged
    original = Rows.beside(time, values[:, 0], row_step, raw.values[:, 0], raw.time)
    series = Series(raw.name, time, values, mask, original)
    absent = absent_steps(raw.time, frequency)
    report = CleaningReport(
        name=raw.name,
        rows=len(raw.time),
        first=raw.clock.local(raw.time[:1])[0],
        last=raw.clock.local(raw.time[-1:])[0],
        duplicates=duplicates,
        gaps=int((absent > 0).sum()),
        absent=int(absent.sum()),
        longest_gap=int(absent.max(initial=0)),
        missing=int(empty.sum()),
        empty=int(empty[:, 0].sum()),
        outliers=int(low.sum()),
        steps=len(time),
        repaired=int((~mask[:, 0]).sum()),
        masked=cleaning.masks,
        utc=raw.utc and raw.clock.timezone is None,
    )
    return series, report


def report_table(reports: Sequence[CleaningReport], caption: str = "") -> Table:
    """One row per series: the defects of its target, and how many steps of it were repaired."""
    counts = {
        "rows": "rows",
        "duplicates": "duplicates",
        "gaps": "gaps",
        "empty": "empty",
        "outliers": "near zero",
        "steps": "steps",
        "repaired": "masked" if any(report.masked for report in reports) else "repaired",
    }
    columns = [Column(heading, wraps=False) for heading in ("series", "from", "to")]
    columns += [Column(heading, numbers=True) for heading in counts.values()]
    rows = []
    for report in reports:
        found = dataclasses.asdict(report)
        days = [np.datetime_as_string(time, unit="D") for time in (report.first, report.last)]
        rows.append([report.name, *days, *(f"{found[count]:,}" for count in counts)])
    notes = [caption] if caption else []
    if others := sum(report.missing - report.empty for report in reports):
        notes.append(f"further columns: {others:,} empty, not counted here")
    if any(report.utc for report in reports):
        notes.append("times are UTC")
    return Table("Series summary", columns, rows, "; ".join(notes), plain=True)


# --- rows ---------------------------------------------------------------------------------------


def near_zero(target: np.ndarray, fraction: float, training_rows: int) -> np.ndarray:
    """bool (N,): which values are near zero. The threshold depends on the training rows only. In a
    series that crosses zero, none is."""
    training = target[:training_rows]
    training = training[~np.isnan(training)]
    threshold = fraction * np.median(training) if len(training) else 0.0
    crosses_zero = (training < 0).mean() > MOST_NEGATIVE if len(training) else False
    if threshold <= 0 or crosses_zero:
        return np.full(len(target), False)
    return target < threshold


def merge_duplicates(
    time: np.ndarray, values: np.ndarray, policy: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (G,) and values (G, C) with duplicates merged, and the merged step (K,) of each row."""
    if policy == "keep":
        return time, values, np.arange(len(time))
    begins = np.concatenate([[True], np.diff(time) > np.timedelta64(0, "s")])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(time)) - 1
    if policy == "first":
        merged = values[first]
    elif policy == "last":
        merged = values[last]
    else:  # the mean of the values that are not missing
        count = np.add.reduceat((~np.isnan(values)).astype(np.int64), first, axis=0)
        total = np.add.reduceat(np.nan_to_num(values), first, axis=0)
        merged = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return time[first], merged, np.cumsum(begins) - 1


# --- repairs ------------------------------------------------------------------------------------


def _repair_target(target: np.ndarray, season: int) -> np.ndarray:
    """The target (M,) with each run of NaN filled from the steps before it.

    The first season of a run is the forecast naive + seasonal change,
        y(t) = y(t-1) + y(t-season) - y(t-season-1),
    clipped to the range of the earlier values; a longer run repeats this season. With too little
    history for that, the last value is carried forward.
    """
    lowest, highest = np.fmin.accumulate(target), np.fmax.accumulate(target)
    target = target.copy()
    unknown = np.isnan(target)
    edges = np.flatnonzero(np.diff(unknown, prepend=False, append=False))
    for start, stop in edges.reshape(-1, 2):
        if start == 0:
            target[:stop] = target[stop]
        elif start <= season:
            target[start:stop] = target[start - 1]
        else:
            change = target[start - season : start] - target[start - season - 1]
            repaired = np.clip(target[start - 1] + change, lowest[start - 1], highest[start - 1])
            target[start:stop] = np.resize(repaired, stop - start)
    return target


def _carry_forward(inputs: np.ndarray) -> np.ndarray:
    """Extra inputs (M, C), each column filled forward; leading NaN take the first known value."""
    steps = np.arange(len(inputs))[:, None]
    known = ~np.isnan(inputs)
    source = np.maximum.accumulate(np.where(known, steps, -1), axis=0)
    source = np.where(source < 0, known.argmax(axis=0), source)
    return np.take_along_axis(inputs, source, axis=0)
