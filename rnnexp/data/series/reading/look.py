"""Looks at a CSV file that nobody has described, and finds out how it can be read."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from rnnexp.config.typed import typed
from rnnexp.data.series.calendar.frequency import Frequency, recognised
from rnnexp.data.series.reading import clock_changes, formats, numbers
from rnnexp.data.series.reading.dialect import Dialect
from rnnexp.data.series.reading.repeats import what_tells_apart
from rnnexp.data.series.reading.table import CsvTable, separator_of
from rnnexp.data.series.reading.text import decode, guess, read_bytes
from rnnexp.data.series.reading.times import Times, joined, parse_times
from rnnexp.errors import UserError

CALENDAR = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M"}
SAMPLE = 200  # rows that a column is tried on first
DATE_LIKE = re.compile(r"\d+[-/.]\d+[-/.]\d+|\d{4}-\d\d$")
ROW_NUMBERS = ("", "index", "unnamed: 0")  # headings of a column without a meaning


class Given(Protocol):
    """The settings of a source, of which the user may have given some."""

    dialect: Dialect
    value_column: str | None
    series_column: str | list[str] | None
    datetime_format: str | None
    look_back: int


@dataclass
class Looked:
    """What was found. settings: config key -> value. remarks: sentences for the user. others: the
    columns of numbers beside the value."""

    settings: dict[str, str | int | list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def look(path: Path, keys: Collection[str], given: Given) -> Looked:
    """How a file can be read. keys: those that the user has given; their values are in `given`.

    Raises:
        UserError: the file is not a CSV file with times and numbers, or something is ambiguous.
    """
    seen = Looked()
    table = _open(path, keys, given, seen)
    table.check_width()
    cells = table.read(range(len(table.header)))
    if cells.empty:
        raise UserError(f"{path}: the file has a header and no rows")
    times, time = _find_times(table, cells, given, seen)
    groups = _positions(table, given.series_column)
    value = _positions(table, given.value_column)
    if "data.series_column" not in keys:
        apart = what_tells_apart(table, time.seconds, times, value, [])
        if apart is not None and apart.key == "data.datetime_column":
            times = [table.position(name) for name in apart.value]
            form = seen.settings.get("data.datetime_format", given.datetime_format)
            time = _parse(table, cells, times, None if form is None else str(form))
            seen.settings[apart.key] = apart.value
            apart = what_tells_apart(table, time.seconds, times, value, [])
        if apart is not None:
            groups = [table.position(name) for name in apart.columns]
            seen.settings[apart.key] = apart.value
    _find_values(table, cells, {*times, *groups}, keys, given, seen)
    rows = cells.groupby(groups, sort=False).indices.values() if groups else [np.arange(len(cells))]
    by_series = [np.sort(time.seconds[own]) for own in rows]
    frequency = _find_steps(by_series, keys, given, seen)
    _find_clock(max(by_series, key=len), time.utc, frequency, keys, seen)
    _say_horizon(frequency, keys, seen)
    for key in keys:
        seen.settings.pop(key, None)
    return seen


def _open(path: Path, keys: Collection[str], given: Given, seen: Looked) -> CsvTable:
    dialect = given.dialect
    content = read_bytes(path)
    try:
        text = decode(path, content, dialect.encoding)
    except UserError:
        if "data.encoding" in keys:
            raise
        dialect = replace(dialect, encoding=guess(content))
        seen.settings["data.encoding"] = dialect.encoding
        text = decode(path, content, dialect.encoding)
    found = separator_of(text)
    if "data.separator" not in keys and found not in (None, "comma"):
        dialect = replace(dialect, separator=str(found))
        seen.settings["data.separator"] = str(found)
    return CsvTable(path, text, dialect)


# Times ------------------------------------------------------------------------------------------


def _find_times(
    table: CsvTable, cells: pd.DataFrame, given: Given, seen: Looked
) -> tuple[list[int], Times]:
    """The columns of a calendar, or the first column of times, and the times."""
    names = [name.casefold() for name in table.header]
    if given.datetime_format is None and {"year", "month", "day"} <= set(names):
        parts = [names.index(part) for part in CALENDAR if part in names]
        written = " ".join(CALENDAR[names[i]] for i in parts)
        with suppress(UserError):
            time = _parse(table, cells, parts, written)
            seen.settings["data.datetime_column"] = [table.header[i] for i in parts]
            seen.settings["data.datetime_format"] = written
            return parts, time
    ambiguous: UserError | None = None
    for column in range(len(table.header)):
        try:
            form = given.datetime_format or _format(table, cells, column)
            time = _parse(table, cells, [column], form)
        except _NoTimes:
            continue
        except UserError as error:
            ambiguous = ambiguous or error
            continue
        seen.settings["data.datetime_column"] = table.header[column]
        if form is not None and given.datetime_format is None:
            seen.settings["data.datetime_format"] = form
        return [column], time
    raise ambiguous or UserError(
        f"{table.path}: no column of dates and times was recognised among "
        f"{', '.join(map(repr, table.header))}: set data.datetime_column and data.datetime_format"
    )


class _NoTimes(Exception):
    """A column that holds no times."""


def _format(table: CsvTable, cells: pd.DataFrame, column: int) -> str | None:
    """The format of a column of times; None: it needs none.

    Raises:
        _NoTimes: the column holds something else.
        UserError: several formats fit.
    """
    sample = cells[column].head(SAMPLE)
    if sample.isna().any():
        raise _NoTimes
    if DATE_LIKE.match(sample.iloc[0].strip()):
        try:
            _parse(table, cells.head(SAMPLE), [column], None)
            return None
        except UserError:
            pass
    fitting = formats.offers(sample.tolist())
    if len(fitting) > 1:  # day-first or month-first: more rows may tell
        fitting = formats.offers(cells[column].fillna("").tolist())
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        offer = formats.offer(sample.tolist())
        raise UserError(
            f"{table.path}: the times (such as {sample.iloc[0]!r}) can be read in several ways: "
            f"set {offer}"
        )
    if DATE_LIKE.match(sample.iloc[0].strip()):
        return None  # its own message says what is wrong with it
    raise _NoTimes


def _parse(table: CsvTable, cells: pd.DataFrame, columns: Sequence[int], form: str | None) -> Times:
    def refuse(wrong: np.ndarray, why: str) -> UserError:
        place, cell = table.cell(int(wrong.argmax()), columns[0])
        return UserError(f"{place}: {cell!r} {why}")

    written, form = joined([cells[i] for i in columns], form)
    return parse_times(table.path, written, form, refuse)


# Values -----------------------------------------------------------------------------------------


def _find_values(
    table: CsvTable,
    cells: pd.DataFrame,
    used: Collection[int],
    keys: Collection[str],
    given: Given,
    seen: Looked,
) -> None:
    """The column to predict, the dialect of its numbers, and the others that could be inputs."""
    dialect = table.dialect
    left = [i for i in range(len(table.header)) if i not in used]
    named = {i: _ways(cells[i], dialect) for i in left}
    numeric = [i for i in left if named[i] and table.header[i].casefold() not in ROW_NUMBERS]
    if given.value_column is not None:
        value = table.position(given.value_column)
    elif numeric:
        value = numeric[0]
    else:
        raise UserError(
            f"{table.path}: no column of numbers was recognised among "
            f"{', '.join(repr(table.header[i]) for i in left) or 'no others'}: set "
            "data.value_column, and if need be data.decimal, data.thousands and data.missing"
        )
    if len(left) > 1:
        seen.settings["data.value_column"] = table.header[value]
    others = [table.header[i] for i in numeric if i != value]
    if others and given.value_column is None:
        seen.remarks.append(
            f"{table.header[value]!r} is taken as the value to predict; other columns of numbers, "
            f"for data.value_column: {', '.join(map(repr, others))}"
        )
    seen.others = others
    texts = cells[value].fillna("").tolist()
    if {"data.decimal", "data.thousands"} & set(keys):
        return
    found = named.get(value) or []
    if len(found) > 1:
        offer = numbers.offers(texts, dialect)
        raise UserError(
            f"{table.path}: the numbers in column {table.header[value]!r} (such as "
            f"{texts[0]!r}) can be read in two ways: set {offer}"
        )
    for decimal, thousands in found:
        if decimal != "point":
            seen.settings["data.decimal"] = decimal
        if thousands:
            seen.settings["data.thousands"] = thousands
    if marks := numbers.markers(texts, dialect):
        seen.settings["data.missing"] = marks


def _ways(column: pd.Series, dialect: Dialect) -> list[tuple[str, str | None]]:
    return list(numbers.ways(column.fillna("").tolist(), dialect))


# Steps ------------------------------------------------------------------------------------------


def _find_steps(
    times: Sequence[np.ndarray], keys: Collection[str], given: Given, seen: Looked
) -> Frequency | None:
    """The frequency of the longest series, and windows that fit into the shortest."""
    frequency = recognised(max(times, key=len))
    if frequency is None:
        return None
    if frequency != "1h":
        seen.settings["data.frequency"] = frequency
    rows = min(map(len, times))
    sizes = {"data.look_back", "data.chunking.length", "data.chunking.warm_up", "data.chunking"}
    if rows < 20 or rows * 0.8 > 2 * 128 or sizes & set(keys):
        return Frequency(frequency)
    season = Frequency(frequency).season
    length = min(128, rows // 4)
    look_back = min(given.look_back, max(2 * season, 10), rows // 4)
    seen.settings["data.look_back"] = look_back
    seen.settings["data.chunking.length"] = length
    seen.settings["data.chunking.warm_up"] = min(24, look_back // 2, length // 4)
    seen.remarks.append(
        f"the shortest series has {rows:,} rows: shorter windows are proposed, and more epochs "
        f"({typed('trainer.max_epochs', 100)}) may be needed"
    )
    return Frequency(frequency)


def _find_clock(
    time: np.ndarray, utc: bool, frequency: Frequency | None, keys: Collection[str], seen: Looked
) -> None:
    """What the times of the longest series say of their clock; nothing if they have an offset."""
    if utc or frequency is None or "data.timezone" in keys:
        return
    if sentence := clock_changes.remark(time, frequency):
        seen.remarks.append(sentence)
    elif repeated := int((np.diff(time) == np.timedelta64(0, "s")).sum()):
        key = "data.cleaning.duplicates"
        seen.remarks.append(
            f"rows with the time of another row: {repeated:,}; each such time takes their mean, or "
            f"another value with {key}=first or {key}=last"
        )


def _say_horizon(frequency: Frequency | None, keys: Collection[str], seen: Looked) -> None:
    """How a horizon is predicted, and what the other columns are then."""
    roles = ("data.input_columns", "data.known", "data.observed", "data.static")
    if seen.others and not set(roles) & set(keys):
        inputs, known, observed = (typed(role, seen.others) for role in roles[:3])
        seen.remarks.append(
            f"as further inputs, add {inputs}; or with task=horizon {known} for columns that are "
            f"known beforehand, and {observed} for those that are not"
        )
    if not {"task", "data.horizon"} & set(keys):
        steps = max(frequency.season, 2) if frequency else 24
        seen.remarks.append(
            f"the next value is predicted; for the next {steps}, add task=horizon "
            f"data.horizon={steps}"
        )


def _positions(table: CsvTable, names: str | list[str] | None) -> list[int]:
    if names is None:
        return []
    return [table.position(name) for name in ([names] if isinstance(names, str) else names)]
