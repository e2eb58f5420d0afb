"""Reads one series from a CSV file: a datetime column, a value column, and optional extra inputs.

The reader neither guesses nor repairs: an ambiguous or malformed cell is an error that names the
file and the line. `rnnexp.data.series.cleaning` makes the repairs.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

MISSING = ("", "NA", "NaN", "nan")  # the texts of a cell that count as empty


@dataclass(frozen=True)
class RawSeries:
    """One series as read from its file: sorted by time, not repaired.

    Rows of equal time keep their order in the file.
    """

    name: str
    path: Path
    time: np.ndarray  # datetime64[s], (N,), non-decreasing
    values: np.ndarray  # float64, (N, C): the target first, then extra inputs; NaN: empty cell
    fingerprint: str  # sha256 of the file's bytes

    @classmethod
    def from_arrays(cls, name: str, time: np.ndarray, values: np.ndarray) -> RawSeries:
        """A series from elsewhere than a CSV file: `time` (N,), and `values` (N,) or (N, C)."""
        time, values = time.astype("datetime64[s]"), np.asarray(values, dtype=np.float64)
        order = np.argsort(time, kind="stable")
        time, values = time[order], values.reshape(len(time), -1)[order]
        content = hashlib.sha256(time.tobytes() + values.tobytes())
        return cls(name, Path(name), time, values, content.hexdigest())


def read_series(
    path: Path,
    *,
    name: str,
    datetime_column: str,
    columns: Sequence[str] | None,
    datetime_format: str | None = None,
) -> RawSeries:
    """Read one comma-separated UTF-8 file with a header.

    Args:
        columns: the value column, then extra input columns. None: the file has exactly two
            columns, and the value column is the one that is not `datetime_column`.
        datetime_format: a strptime format. None: ISO, day-first or month-first, inferred from
            the whole column.

    Raises:
        UserError: the file cannot be read, or a cell is malformed or ambiguous (with its line).
    """
    content = _read_bytes(path)
    text = _decode(path, content)
    header = _header(path, text)
    chosen = _choose_columns(path, header, datetime_column, columns)
    _check_width(path, text, len(header))

    table = _read_table(path, text, len(header), chosen)
    if table.empty:
        raise UserError(f"{path}: the file has a header and no rows")
    time = _parse_times(path, text, table[chosen[0]], chosen[0], datetime_format)
    numbers = [_parse_numbers(path, text, table[i], i, header[i]) for i in chosen[1:]]

    order = np.argsort(time, kind="stable")
    values = np.column_stack(numbers)[order]
    return RawSeries(name, path, time[order], values, hashlib.sha256(content).hexdigest())


def unique_names(series: Sequence[RawSeries]) -> list[RawSeries]:
    """The same series as a list. Raises UserError if two of them share a name."""
    seen: dict[str, RawSeries] = {}
    for one in series:
        if one.name in seen:
            raise UserError(
                f"{one.path}: the series name {one.name!r} is already taken by "
                f"{seen[one.name].path}; rename one of the two files"
            )
        seen[one.name] = one
    return list(seen.values())


# --- the file -----------------------------------------------------------------------------------


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    if not content.strip():
        raise UserError(f"{path}: the file is empty")
    return content


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: the file is not UTF-8 text; save it as UTF-8"
        ) from None


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and cells of each row, the header first. Blank lines are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: this is not CSV ({error})") from None


def _cell(path: Path, text: str, row: int, column: int) -> tuple[str, str]:
    """`FILE, line N` and the text of a cell, for a message. Row 0 is the first after the header."""
    for number, (line, cells) in enumerate(_rows(path, text), start=-1):
        if number == row:
            return f"{path}, line {line}", cells[column]
    raise IndexError(row)


def _header(path: Path, text: str) -> list[str]:
    _, header = next(_rows(path, text))
    return [name.strip() for name in header]


def _choose_columns(
    path: Path, header: list[str], datetime_column: str, columns: Sequence[str] | None
) -> list[int]:
    """Indices of the datetime column, the value column and the extra inputs."""
    if columns is None and len(header) != 2:
        raise UserError(
            f"{path}: expected two columns, separated by a comma, and found "
            f"{len(header)}: {', '.join(header)}"
        )
    time = _position(path, header, datetime_column)
    if columns is None:
        return [time, 1 - time]
    return [time, *(_position(path, header, name) for name in columns)]


def _position(path: Path, header: list[str], name: str) -> int:
    if header.count(name) > 1:
        raise UserError(f"{path}: {header.count(name)} columns are called {name!r}; rename them")
    if name not in header:
        raise UserError(f"{path}: there is no column {name!r}{did_you_mean(name, header)}")
    return header.index(name)


def _check_width(path: Path, text: str, width: int) -> None:
    """Refuse rows of another length than the header; pandas would silently fill or cut them."""
    with suppress(csv.Error):  # a fast check first; only a bad file is read again, for its line
        if set(map(len, csv.reader(io.StringIO(text, newline="")))) <= {0, width}:
            return
    for line, row in _rows(path, text):
        if len(row) != width:
            raise UserError(
                f"{path}, line {line}: this row has {len(row)} columns, the header has {width}"
            )


def _read_table(path: Path, text: str, width: int, chosen: list[int]) -> pd.DataFrame:
    try:
        return pd.read_csv(
            io.StringIO(text),
            header=0,
            names=list(range(width)),
            usecols=chosen,
            dtype={chosen[0]: str},
            index_col=False,
            keep_default_na=False,
            na_values=list(MISSING),
            skipinitialspace=True,
            low_memory=False,
        )
    except pd.errors.ParserError as error:
        raise UserError(f"{path}: this is not CSV ({str(error).strip()})") from None


# --- numbers ------------------------------------------------------------------------------------


def _parse_numbers(
    path: Path, text: str, column: pd.Series, position: int, name: str
) -> np.ndarray:
    """float64 (N,), NaN where the cell is empty."""
    if column.dtype.kind not in "iuf":  # pandas left the column as text: a cell is no number
        written = column.astype(str).where(column.notna())
        numbers = pd.to_numeric(written, errors="coerce")
    else:
        numbers = column
    values = numbers.to_numpy(np.float64)
    wrong = np.isinf(values) | (np.isnan(values) & column.notna().to_numpy())
    if wrong.any():
        place, cell = _cell(path, text, int(wrong.argmax()), position)
        raise UserError(
            f"{place}: {cell!r} in column {name!r} is not a finite number; "
            "leave the cell empty where the value is missing"
        )
    if np.isnan(values).all():
        raise UserError(f"{path}: column {name!r} has no values")
    if (~np.isnan(values)).sum() == 1:
        raise UserError(f"{path}: column {name!r} has one value: there is no next value to predict")
    if np.nanmin(values) == np.nanmax(values):
        raise UserError(
            f"{path}: column {name!r} is constant ({np.nanmin(values):g}): there is nothing to "
            "predict, and it cannot be scaled"
        )
    return values


# --- times --------------------------------------------------------------------------------------


def _parse_times(
    path: Path, text: str, column: pd.Series, position: int, datetime_format: str | None
) -> np.ndarray:
    """datetime64[s] (N,), in the order of the file."""

    def refuse(wrong: np.ndarray, why: str) -> UserError:
        place, cell = _cell(path, text, int(wrong.argmax()), position)
        return UserError(f"{place}: {cell!r} {why}")

    empty = column.isna().to_numpy()
    if empty.any():
        raise refuse(empty, "is not a date and time")
    if datetime_format is not None:
        times = _parse_exactly(column, datetime_format)
        shape = f"data.datetime_format={datetime_format!r}"
    else:
        times, shape = _parse_by_shape(path, column)
    wrong = times.isna().to_numpy()
    if wrong.any():
        if re.search(r":.*(Z|[+-]\d\d:?\d\d)\s*$", str(column.iloc[int(wrong.argmax())])):
            raise refuse(wrong, "has a time zone; write local times without an offset")
        raise refuse(wrong, f"is not a date and time in the format {shape}")
    seconds = times.to_numpy().astype("datetime64[s]")
    finer = seconds != times.to_numpy()
    if finer.any():
        raise refuse(finer, "has fractions of a second; write whole seconds")
    return seconds


def _parse_exactly(column: pd.Series, datetime_format: str) -> pd.Series:
    if "%" not in datetime_format or "%z" in datetime_format.lower():
        raise UserError(
            f"data.datetime_format={datetime_format!r} must be a strptime format without a time "
            'zone, such as "%d/%m/%Y %H:%M"'
        )
    try:
        return pd.to_datetime(column, format=datetime_format, errors="coerce")
    except ValueError as error:
        raise UserError(f"data.datetime_format={datetime_format!r}: {error}") from None


def _parse_by_shape(path: Path, column: pd.Series) -> tuple[pd.Series, str]:
    """The times (NaT where a row does not match) and their format, for a message.

    The first cell decides whether the year comes first, and the separator. If the year comes last,
    day-first and month-first are both tried on all rows. The file is refused if both match.
    """
    first = str(column.iloc[0])
    match = re.match(r"(\d+)([-/.])\d+\2\d+(T?)", first)
    if match is None:
        form = "2004-12-31 01:00:00 or 31.12.2004 01:00 (for others, set data.datetime_format)"
        return pd.Series(pd.NaT, index=column.index), form
    joint = match[3] or " "
    dates = ["%Y-%m-%d"] if len(match[1]) == 4 else ["%d-%m-%Y", "%m-%d-%Y"]
    dates = [date.replace("-", match[2]) for date in dates]

    readings = [_parse_date_and_clock(column, date, joint) for date in dates]
    unread = [int(times.isna().sum()) for times in readings]
    if unread == [0, 0]:
        clock = joint + "%H:%M:%S"[: 3 * first.count(":") + 2] if ":" in first else ""
        offers = " or ".join(f'data.datetime_format="{date}{clock}"' for date in dates)
        raise UserError(
            f"{path}: the dates (such as {first!r}) may be day-first or month-first; set {offers}"
        )
    best = int(np.argmin(unread))
    shape = f"{dates[best]!r} with or without a clock time, as the rest of the column"
    return readings[best], f"{shape} (for other formats, set data.datetime_format)"


def _parse_date_and_clock(column: pd.Series, date: str, joint: str) -> pd.Series:
    """Parse date and time; files often write midnight as a bare date, and omit the seconds."""
    times = pd.to_datetime(column, format=f"{date}{joint}%H:%M:%S", errors="coerce")
    for clock in (f"{joint}%H:%M", ""):
        left = column[times.isna()]
        if left.empty:
            break
        times = times.fillna(pd.to_datetime(left, format=date + clock, errors="coerce"))
    return times
