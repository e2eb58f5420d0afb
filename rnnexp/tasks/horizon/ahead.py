"""The known columns over the horizon of a new series: from its own file, and from --known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnexp.data.series.cleaning import Series, merge_duplicates
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError
from rnnexp.tasks.answers import listed, one_line


def split_at_the_last_value(raw: RawSeries) -> tuple[RawSeries, RawSeries]:
    """The rows up to the last one with a value, and those after it."""
    last = int(np.flatnonzero(~np.isnan(raw.values[:, 0])).max(initial=-1)) + 1
    past = dataclasses.replace(raw, time=raw.time[:last], values=raw.values[:last])
    return past, dataclasses.replace(raw, time=raw.time[last:], values=raw.values[last:])


def times_ahead(series: Series, source: SeriesSource) -> np.ndarray:
    """datetime64[s] (A,): the steps after the end of a series, to the end of the horizon."""
    steps = np.arange(1, source.issue.lead + source.horizon + 1)
    return source.frequency.after(np.repeat(series.time[-1:], len(steps)), steps)


@dataclass(frozen=True)
class KnownFiles:
    """The rows of the files of --known, one `RawSeries` of the known columns for each series of
    each file.

    for_one: all rows belong to the only series that is predicted, whatever the files are called.
    """

    rows: Sequence[RawSeries]
    for_one: bool

    @classmethod
    def read(cls, source: SeriesSource, paths: Sequence[Path], series: int) -> KnownFiles:
        """series: how many are to be predicted.

        Raises:
            UserError: the run has no known columns, or a file cannot be read.
        """
        if paths and not source.known:
            raise UserError(
                "--known: this run has no columns that are known over the horizon (data.known): "
                "omit it"
            )
        files = [file for path in paths for file in source.files_in(path)]
        rows = [one.by(source.clock) for file in files for one in source.read_known(file)]
        return cls(rows, series == 1 and all(one.alone for one in rows))

    def of(self, raw: RawSeries) -> list[RawSeries]:
        """The rows that belong to a series.

        Raises:
            UserError: there are none, or their times are of another kind.
        """
        own = [one for one in self.rows if self.for_one or one.name == raw.name]
        if self.rows and not own:
            names = listed(list(dict.fromkeys(one.name for one in self.rows)))
            why = (
                f"; of several files, each needs one of its own name, {raw.name}.csv"
                if raw.alone
                else ""
            )
            raise UserError(
                f"{raw.place}: --known has no rows of this series, it has those of {names}{why}"
            )
        for one in own:
            if one.utc != raw.utc and raw.clock.timezone is None:
                with_offset, without = (one, raw) if one.utc else (raw, one)
                raise UserError(
                    f"the times of {with_offset.path} have a UTC offset, those of {without.path} "
                    "have none: write both in the same way"
                )
        return own


def known_over_the_horizon(
    series: Series, ahead: RawSeries, given: Sequence[RawSeries], source: SeriesSource
) -> tuple[np.ndarray, list[str]]:
    """The known columns of the steps to the end of the horizon, float64 (A, N). Where the file of
    the series and those of --known differ, the latter win, and a sentence says so.
    NaN: missing, with `data.cleaning.missing=mask`.

    ahead: the rows of the series after its last value. given: its rows in the files of --known, of
    which those outside the horizon are not used.

    Raises:
        UserError: a column has no value at a step, or two files of --known have different ones.
    """
    times, columns = times_ahead(series, source), source.known_columns
    show = source.clock.show
    own = _at(times, ahead.time, ahead.values[:, columns], source)
    found = np.full_like(own, np.nan)
    for one in given:
        more = _at(times, one.time, one.values, source)
        if (other := _differ(found, more)).any():
            step, column = np.argwhere(other)[0]
            raise UserError(
                f"{one.place}: {source.known[column]!r} is {more[step, column]:g} for "
                f"{show(times[step])}, but {found[step, column]:g} in another file of --known: "
                "remove one of them"
            )
        found = np.where(np.isnan(found), more, found)
    notes = []
    if changed := int(_differ(found, own).sum()):
        notes.append(
            f"{one_line(series.name)}: {changed:,} known values of {ahead.path} were replaced by "
            "those of --known"
        )
    found = np.where(np.isnan(found), own, found)
    lacking = np.isnan(found)
    rows = [ahead, *given]
    there = np.isin(times, np.concatenate([one.time for one in rows]))
    if source.cleaning.masks:  # an empty cell is masked, an absent row is an oversight
        lacking &= ~there[:, None]
    if lacking.any():
        step, column = np.argwhere(lacking)[0]
        name, time = source.known[column], times[step]
        if there[step]:
            file = next(one.path for one in reversed(rows) if time in one.time)
            raise UserError(
                f"{file}: column {name!r}, which is known over the horizon, is empty at "
                f"{show(time)}: write its value into this cell"
            )
        place = given[-1].place if given else ahead.place
        add = f"add the rows of the next {len(times)} steps after the last {source.columns[0]}"
        raise UserError(
            f"{place}: column {name!r}, which is known over the horizon, has no value for "
            f"{show(time)}: {add} ({show(series.time[-1])})"
            + ("" if given else ", or give them with --known FILE")
        )
    return found, notes


def _at(
    times: np.ndarray, time: np.ndarray, values: np.ndarray, source: SeriesSource
) -> np.ndarray:
    """(A, N): the values (K, N) of the rows at these times (A,), NaN where there is none. Rows of
    equal time are merged as in the training."""
    inside = np.isin(time, times)
    found = np.full((len(times), values.shape[1]), np.nan)
    if inside.any():
        policy = source.cleaning.duplicates
        merged, values, _ = merge_duplicates(time[inside], values[inside], policy)
        found[np.searchsorted(times, merged)] = values
    return found


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a != b) & ~np.isnan(a) & ~np.isnan(b)
