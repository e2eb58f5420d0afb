"""From the cells of one or more columns to times.

Nothing is guessed: a column that may be day-first or month-first is an error that offers both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rnnexp.config.typed import typed
from rnnexp.data.series.reading import formats
from rnnexp.data.series.reading.formats import EPOCHS, KEY, WEEKDAYS
from rnnexp.errors import UserError

LATEST_SECOND = 7_258_118_400  # since 1970: the beginning of the year 2200

DAY = np.timedelta64(86400, "s")
OFFSET = r"\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
CLOCK_AND_OFFSET = re.compile(rf"\d:\d\d(?:[.,]\d+)?{OFFSET}")
INTERVAL = re.compile(r"^(.*\d+[-/.]\d+[-/.]\d+.*?)\s+[-\u2013]\s+\S.*$")
END_OF_DAY = re.compile(r"(?<=[ T])24(?=:00(?::00(?:\.0+)?)?$)")

Refuse = Callable[[np.ndarray, str], UserError]  # which rows are wrong, and why


@dataclass(frozen=True)
class Times:
    """Times in the order of the file.

    seconds: datetime64[s], (N,). utc: whether the file says how they lie to UTC; then they are UTC.
    """

    seconds: np.ndarray
    utc: bool


def joined(columns: Sequence[pd.Series], form: str | None) -> tuple[pd.Series, str | None]:
    """One text for each row, and its format. Two columns are a date, and an hour or clock time.

    Hours may be 0 to 23 or 1 to 24, and 2400 is the end of the day. A format of the date alone is
    completed; with any other, the texts are joined by a blank as they are.
    """
    if len(columns) == 1:
        return columns[0], form
    texts = [column.str.strip() for column in columns]
    if len(texts) == 2 and (form is None or not re.search("%[HI]", form)):
        texts[1] = _clock(texts[1])
        if form is not None:
            form += " %H:%M:%S" if str(texts[1].iloc[0]).count(":") == 2 else " %H:%M"
    whole = texts[0]
    for text in texts[1:]:
        whole = whole + " " + text
    return whole, form


def _clock(hours: pd.Series) -> pd.Series:
    if hours.str.fullmatch(r"\d{1,2}(?:\.0+)?").all():
        return hours.str.split(".").str[0].str.zfill(2) + ":00"
    if hours.str.fullmatch(r"\d{4}").all():
        return hours.str[:2] + ":" + hours.str[2:]
    return hours


def parse_times(path: Path, column: pd.Series, form: str | None, refuse: Refuse) -> Times:
    """The times of a column of texts. An interval "a - b" stands for its beginning.

    form: a strptime format, or a name in EPOCHS. None: ISO, day-first or month-first, inferred from
    the whole column.

    Raises:
        UserError: the format is wrong, the column is ambiguous, or a cell does not fit.
    """
    if form is not None:
        formats.check_format(form)
    if (empty := column.isna().to_numpy()).any():
        raise refuse(empty, "is not a date and time")
    column = column.str.strip()
    if form in EPOCHS:
        return Times(_since_epoch(column, EPOCHS[form], refuse), utc=True)
    if INTERVAL.match(column.iloc[0]) and " - " not in (form or ""):
        column = column.str.replace(INTERVAL, r"\1", regex=True)
    clock, offset = _split_offset(column, form, refuse)
    late = np.zeros(len(clock), bool)
    if form is None or "%H" in form:
        late = clock.str.contains(END_OF_DAY).to_numpy(bool)
        clock = clock.str.replace(END_OF_DAY, "00", regex=True) if late.any() else clock
    times, shape = _parse(path, clock, form)
    if (wrong := times.isna().to_numpy()).any():
        raise refuse(wrong, _why_not(column, wrong, form, shape))
    seconds = times.to_numpy().astype("datetime64[s]")
    if (finer := seconds != times.to_numpy()).any():
        raise refuse(finer, "has fractions of a second; write whole seconds")
    seconds = np.where(late, seconds + DAY, seconds)
    return Times(seconds if offset is None else seconds - offset, offset is not None)


def _why_not(column: pd.Series, wrong: np.ndarray, form: str | None, shape: str) -> str:
    if CLOCK_AND_OFFSET.search(column.iloc[int(wrong.argmax())]):
        return (
            "has a time zone, and the first row has none; write all rows with a UTC offset, or none"
            if form is None
            else f"has a UTC offset: end {KEY} with %z"
        )
    offer = formats.offer(column.tolist())
    if offer and form is None:
        return f"is read with a format alone: set {offer}"
    hint = f": set {offer}" if offer else ""
    return f"is not a date and time in the format {shape}{hint}"


def _since_epoch(column: pd.Series, per_second: int, refuse: Refuse) -> np.ndarray:
    whole = column.str.fullmatch(r"-?\d{1,15}(?:\.0+)?").to_numpy(bool)
    if not whole.all():
        raise refuse(~whole, "is not a whole number since 1970-01-01")
    numbers = column.str.split(".").str[0].astype("int64").to_numpy()
    if (finer := numbers % per_second != 0).any():
        raise refuse(finer, "has fractions of a second; write whole seconds")
    if per_second == 1 and (late := numbers > LATEST_SECOND).any():
        offer = typed("data.datetime_format", "epoch_milliseconds")
        raise refuse(
            late, f"is after the year 2200 in seconds: set {offer} if it is in milliseconds"
        )
    return (numbers // per_second).astype("datetime64[s]")


def _split_offset(
    column: pd.Series, form: str | None, refuse: Refuse
) -> tuple[pd.Series, np.ndarray | None]:
    """The clock times, and their offsets from UTC (N,), timedelta64[s]; None: they have none."""
    if form is None:
        has_offset = CLOCK_AND_OFFSET.search(column.iloc[0]) is not None
    else:
        has_offset = form.endswith("%z")
    if not has_offset:
        return column, None
    offset = column.str.extract(OFFSET, expand=False)
    if (lacking := offset.isna().to_numpy()).any():
        raise refuse(lacking, "has no UTC offset, unlike the first row")
    lengths = {one: _length(one) for one in offset.unique()}
    return column.str.replace(OFFSET, "", regex=True), offset.map(lengths).to_numpy("m8[s]")


def _length(offset: str) -> np.timedelta64:
    if offset in ("Z", "UTC", "GMT"):
        return np.timedelta64(0, "s")
    digits = offset[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return np.timedelta64(-seconds if offset[0] == "-" else seconds, "s")


def _parse(path: Path, column: pd.Series, form: str | None) -> tuple[pd.Series, str]:
    """The times (NaT where a row does not fit), and their format, for a message."""
    if form is None:
        return _parse_by_shape(path, column)
    local = form.removesuffix("%z").rstrip()
    try:
        times = pd.to_datetime(column, format=local, errors="coerce")
    except ValueError as error:
        raise UserError(f"{KEY}={form!r}: {error}") from None
    for directive in WEEKDAYS:
        if directive in local:  # read, and not used: so it must agree with the date
            names = times.dt.strftime(directive)
            agrees = [str(n).casefold() in c.casefold() for n, c in zip(names, column, strict=True)]
            times = times.where(np.array(agrees))
    return times, f"{KEY}={form!r}"


def _parse_by_shape(path: Path, column: pd.Series) -> tuple[pd.Series, str]:
    """The first cell decides whether the year comes first, and the separator. If the year comes
    last, day-first and month-first are both tried on all rows, and the file is refused if both
    match."""
    first = str(column.iloc[0])
    if re.fullmatch(r"\d{4}-\d\d", first):  # a month, as ISO has it
        return pd.to_datetime(column, format="%Y-%m", errors="coerce"), "'%Y-%m'"
    match = re.match(r"(\d+)([-/.])\d+\2\d+(T?)", first)
    if match is None:
        shape = "2004-12-31 01:00:00 or 31.12.2004 01:00 (for others, set data.datetime_format)"
        return pd.Series(pd.NaT, index=column.index), shape
    joint = match[3] or " "
    dates = ["%Y-%m-%d"] if len(match[1]) == 4 else ["%d-%m-%Y", "%m-%d-%Y"]
    dates = [date.replace("-", match[2]) for date in dates]

    readings = [_parse_date_and_clock(column, date, joint) for date in dates]
    unread = [int(times.isna().sum()) for times in readings]
    if unread == [0, 0]:
        clock = joint + "%H:%M:%S"[: 3 * first.count(":") + 2] if ":" in first else ""
        choices = " or ".join(typed(KEY, f"{date}{clock}") for date in dates)
        raise UserError(
            f"{path}: the dates (such as {first!r}) may be day-first or month-first; set {choices}"
        )
    best = int(np.argmin(unread))
    shape = f"{dates[best]!r} with or without a clock time, as the rest of the column"
    return readings[best], f"{shape} (for other formats, set data.datetime_format)"


def _parse_date_and_clock(column: pd.Series, date: str, joint: str) -> pd.Series:
    """Parse date and time; files often write midnight as a bare date, and omit the seconds."""
    times = pd.to_datetime(column, format=f"{date}{joint}%H:%M:%S", errors="coerce")
    for clock in (f"{joint}%H:%M", "", f"{joint}%H:%M:%S.%f"):
        left = column[times.isna()]
        if left.empty:
            break
        times = times.fillna(pd.to_datetime(left, format=date + clock, errors="coerce"))
    return times
