"""Reads the series of a CSV file: times, a value column, and optional extra inputs.

The reader neither guesses nor repairs: an ambiguous or malformed cell is an error that names the
file and the line. `rnnexp.data.series.cleaning` makes the repairs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.reading import numbers
from rnnexp.data.series.reading.dialect import Dialect
from rnnexp.data.series.reading.repeats import Apart, what_tells_apart
from rnnexp.data.series.reading.table import CsvTable
from rnnexp.data.series.reading.text import decode, read_bytes
from rnnexp.data.series.reading.times import Times, joined, parse_times
from rnnexp.errors import UserError


@dataclass(frozen=True)
class RawSeries:
    """One series as read from its file: sorted by time, not repaired.

    Rows of equal time keep their order in the file.
    """

    name: str
    path: Path
    time: np.ndarray  # datetime64[s], (N,), non-decreasing; as `clock` says
    values: np.ndarray  # float64, (N, C): the target first, then extra inputs; NaN: empty cell
    fingerprint: str  # sha256 of the file's bytes
    utc: bool = False  # the file says how its times lie to UTC; without a zone they are UTC
    alone: bool = True  # False: one of the series of a file
    apart: Apart | None = None  # what tells rows of equal time apart, for a message
    clock: Clock = field(default_factory=Clock)
    static: tuple[float, ...] = ()  # the values of the static columns

    @property
    def place(self) -> str:
        """Where the series stands, for a message."""
        return str(self.path) if self.alone else f"{self.path}, series {self.name!r}"

    @classmethod
    def from_arrays(cls, name: str, time: np.ndarray, values: np.ndarray) -> RawSeries:
        """A series from elsewhere than a CSV file: `time` (N,), and `values` (N,) or (N, C)."""
        time, values = time.astype("datetime64[s]"), np.asarray(values, dtype=np.float64)
        order = np.argsort(time, kind="stable")
        time, values = time[order], values.reshape(len(time), -1)[order]
        content = hashlib.sha256(time.tobytes() + values.tobytes())
        return cls(name, Path(name), time, values, content.hexdigest())

    def by(self, clock: Clock) -> RawSeries:
        """The same series by the clock of a zone, unless it has been read by one.

        Raises:
            UserError: a time is none of this clock.
        """
        if self.clock.timezone is not None or clock.timezone is None:
            return self

        def refuse(wrong: np.ndarray, why: str) -> UserError:
            return UserError(f"{self.place}: {self.clock.show(self.time[wrong][0])} {why}")

        time = clock.from_utc(self.time) if self.utc else clock.from_local(self.time, refuse)
        order = np.argsort(time, kind="stable")
        return dataclasses.replace(self, time=time[order], values=self.values[order], clock=clock)


def read_series(
    path: Path,
    *,
    name: str,
    datetime_column: str | Sequence[str],
    columns: Sequence[str] | None,
    datetime_format: str | None = None,
    series_column: str | Sequence[str] | None = None,
    dialect: Dialect | None = None,
    static: Sequence[str] = (),
    clock: Clock | None = None,
    gaps: bool = True,
) -> list[RawSeries]:
    """Read the series of one file with a header.

    Args:
        name: of the series, if the file has one.
        datetime_column: the column with date and time, or two: a date, and an hour or clock time.
        columns: the value column, then extra input columns. None: the value column is the only
            one that is left.
        datetime_format: a strptime format. None: ISO, day-first or month-first, inferred from
            the whole column.
        series_column: the columns whose cells name the series of a row. None: the file has one
            series.
        static: columns of numbers that are the same in all rows of a series that have one.
        clock: by which the times are read. None: they stay as they are written.
        gaps: whether values may be missing, so that a message may offer an empty cell.

    Raises:
        UserError: the file cannot be read, a static column changes, or a cell is malformed or
            ambiguous (with its line).
    """
    dialect, clock = dialect or Dialect(), clock or Clock()
    content = read_bytes(path)
    table = CsvTable(path, decode(path, content, dialect.encoding), dialect)
    fingerprint = hashlib.sha256(content).hexdigest()
    del content  # may be large
    when, which = _listed(datetime_column), _listed(series_column)
    times, values = _choose_columns(table, when, which, columns)
    groups = [table.position(name) for name in which]
    constants = [table.position(name) for name in static]
    table.check_width()

    cells = table.read([*times, *groups], [*values, *constants])
    if cells.empty:
        raise UserError(f"{path}: the file has a header and no rows")
    time = _read_times(table, cells, times, datetime_format)
    data = np.column_stack([_read_numbers(table, cells[i], i, gaps) for i in values])
    unchanging = {i: _read_numbers(table, cells[i], i) for i in constants}
    apart = what_tells_apart(table, time.seconds, times, [*values, *constants], groups)
    found = []
    for own_name, rows in _rows_by_series(table, cells, groups, name):
        seconds = _by_clock(clock, table, times, time, rows)
        order = np.argsort(seconds, kind="stable")
        one = RawSeries(
            *(own_name, path, seconds[order], data[rows[order]], fingerprint),
            *(time.utc, not groups, apart, clock),
        )
        _check_values(one, [table.header[i] for i in values])
        fixed = [_constant(table, one, i, unchanging[i], rows) for i in constants]
        found.append(dataclasses.replace(one, static=tuple(fixed)))
    return found


def unique_names(series: Sequence[RawSeries]) -> list[RawSeries]:
    """The same series as a list. Raises UserError if two of them share a name."""
    seen: dict[str, RawSeries] = {}
    for one in series:
        if one.name in seen:
            what = "one of the two files" if one.alone else f"the series in {one.path}"
            raise UserError(
                f"{one.path}: the series name {one.name!r} is already taken by "
                f"{seen[one.name].path}; rename {what}"
            )
        seen[one.name] = one
    return list(seen.values())


def refuse_constant(raw: RawSeries) -> None:
    """Refuse a series that nothing can be learnt from.

    Raises:
        UserError: the target has one value, or is constant.
    """
    known = raw.values[~np.isnan(raw.values[:, 0]), 0]
    if len(known) == 1:
        raise UserError(f"{raw.place}: the series has one value: there is no next value to predict")
    if known.min() == known.max():
        raise UserError(
            f"{raw.place}: the series is constant ({known[0]:g}): there is nothing to predict, and "
            "it cannot be scaled"
        )


def _listed(names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _choose_columns(
    table: CsvTable, when: list[str], which: list[str], columns: Sequence[str] | None
) -> tuple[list[int], list[int]]:
    """Indices of the datetime columns, and of the value column and the extra inputs."""
    header = table.header
    if columns is None and len(header) != len(when) + len(which) + 1:
        if other := table.other_separator():
            raise UserError(f"{table.path}: the header has another separator: set {other}")
        if len(header) > 2:
            hint = "; say with data.value_column which one to predict"
            hint += " (and with data.series_column which one names the series, if one does)"
        else:
            hint = ""
        expected = "two columns" if len(when) + len(which) == 1 else "one more column"
        raise UserError(
            f"{table.path}: expected {expected}, separated by a {table.dialect.separator}, and "
            f"found {len(header)}: {', '.join(header)}{hint}"
        )
    times = [table.position(name) for name in when]
    if columns is None:
        used = {*times, *(table.position(name) for name in which)}
        return times, [i for i in range(len(header)) if i not in used]
    return times, [table.position(name) for name in columns]


def _read_times(
    table: CsvTable, cells: pd.DataFrame, columns: list[int], form: str | None
) -> Times:
    written, form = joined([cells[i] for i in columns], form)

    def refuse(wrong: np.ndarray, why: str) -> UserError:
        return _wrong_time(table, columns, int(wrong.argmax()), why)

    return parse_times(table.path, written, form, refuse)


def _by_clock(
    clock: Clock, table: CsvTable, columns: list[int], time: Times, rows: np.ndarray
) -> np.ndarray:
    """The times of some rows, those of one series, by a clock."""

    def refuse(wrong: np.ndarray, why: str) -> UserError:
        return _wrong_time(table, columns, int(rows[wrong.argmax()]), why)

    seconds = time.seconds[rows]
    return clock.from_utc(seconds) if time.utc else clock.from_local(seconds, refuse)


def _wrong_time(table: CsvTable, columns: list[int], row: int, why: str) -> UserError:
    place, cell = table.cell(row, columns[0])
    cell = " ".join([cell, *(table.cell(row, i)[1] for i in columns[1:])])
    return UserError(f"{place}: {cell!r} {why}")


def _read_numbers(
    table: CsvTable, column: pd.Series, position: int, gaps: bool = True
) -> np.ndarray:
    """float64 (N,), NaN where the cell is empty."""
    values, wrong = numbers.parse_numbers(column, table.dialect)
    if wrong.any():
        place, cell = table.cell(int(wrong.argmax()), position)
        texts = table.read([position])[position].fillna("")
        offer = numbers.offers(texts.tolist(), table.dialect)
        empty = "leave the cell empty where the value is missing"
        hint = f"set {offer}" if offer else empty if gaps else "write the value into this cell"
        raise UserError(
            f"{place}: {cell!r} in column {table.header[position]!r} is not a finite number; {hint}"
        )
    return values


def _rows_by_series(
    table: CsvTable, cells: pd.DataFrame, groups: list[int], name: str
) -> list[tuple[str, np.ndarray]]:
    """The name of each series, in the order of the file, and its rows."""
    if not groups:
        return [(name, np.arange(len(cells)))]
    for column in groups:
        if (empty := cells[column].isna().to_numpy()).any():
            place, _ = table.cell(int(empty.argmax()), column)
            raise UserError(
                f"{place}: the cell in column {table.header[column]!r}, which names the series, "
                "is empty"
            )
    named = cells[groups[0]].str.strip()
    for column in groups[1:]:
        named = named + " " + cells[column].str.strip()
    codes, names = pd.factorize(named)
    by_series = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    return list(zip(map(str, names), by_series, strict=True))


def _check_values(raw: RawSeries, names: Sequence[str]) -> None:
    for column, name in enumerate(names):
        if np.isnan(raw.values[:, column]).all():
            raise UserError(f"{raw.place}: column {name!r} has no values")


def _constant(
    table: CsvTable, raw: RawSeries, position: int, column: np.ndarray, rows: np.ndarray
) -> float:
    """The value of a static column (N,) in the rows of one series, of which some may be empty."""
    own = column[rows]
    known = np.flatnonzero(~np.isnan(own))
    name = table.header[position]
    if not len(known):
        raise UserError(f"{raw.place}: column {name!r}, which is static, has no value")
    first = own[known[0]]
    other = known[own[known] != first]
    if len(other):
        line, cell = table.cell(int(rows[other[0]]), position)
        raise UserError(
            f"{line}: series {raw.name!r} has {cell.strip()} in column {name!r}, and {first:g} "
            "before: a static column (data.static) is the same in all rows of a series; name one "
            "that changes in data.known or data.observed"
        )
    return float(first)
