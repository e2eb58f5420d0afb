"""From the cells of a column to numbers, and which dialect the numbers are written in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from rnnexp.config.typed import typed
from rnnexp.data.series.reading.dialect import Decimal, Dialect, Thousands

DECIMALS: dict[Decimal, str] = {"point": ".", "comma": ","}
GROUPS: dict[Thousands, str] = {
    "comma": ",",
    "point": ".",
    "blank": " \u00a0\u202f",  # the blank, the no-break space, the narrow no-break space
    "apostrophe": "'\u2019",
}
# What stands in a cell without a value; offered as data.missing, never taken by itself.
MARKERS = {"?", "-", "--", "---", ".", "*", "null", "none", "n/a", "#n/a", "n.a.", "\\n"}
MARKERS |= {"missing", "m", "x", "nil", "#value!", "#div/0!", "<na>", "no data"}


def parse_numbers(column: pd.Series, dialect: Dialect) -> tuple[np.ndarray, np.ndarray]:
    """float64 (N,), NaN where a cell is empty; and bool (N,): which cells are not finite numbers.

    column: float64, or the texts of the cells, NaN where a cell is empty.
    """
    if column.dtype.kind in "iuf":
        values = column.to_numpy(np.float64)
        empty = np.isnan(values)
    else:
        texts = column.astype(str).str.strip().where(column.notna(), "")
        empty = texts.str.casefold().isin(dialect.marks).to_numpy()
        values = _numbers(texts.to_numpy(object), empty, dialect.decimal, dialect.thousands)
    empty = empty | np.isin(values, dialect.missing_numbers)
    wrong = ~np.isfinite(values) & ~empty
    return np.where(empty, np.nan, values), wrong


def offers(texts: Sequence[str], dialect: Dialect) -> str:
    """The settings with which every cell of a column can be read, as they have to be typed; empty
    if there are none. Several possibilities are joined by `or`."""
    marks = markers(texts, dialect)
    found = []
    for decimal, thousands in ways(texts, dialect):
        settings = [] if decimal == dialect.decimal else [typed("data.decimal", decimal)]
        if thousands and thousands != dialect.thousands:
            settings.append(typed("data.thousands", thousands))
        if marks:
            settings.append(typed("data.missing", marks))
        found.append(" ".join(settings))
    return "" if "" in found else " or ".join(found)


def markers(texts: Sequence[str], dialect: Dialect) -> list[str]:
    """The value of data.missing with the MARKERS that stand in these cells; empty if none do."""
    found = {text.strip() for text in texts if text.strip().casefold() in MARKERS - dialect.marks}
    before = ["null" if mark is None else str(mark) for mark in dialect.missing]
    return [*before, *sorted(found)] if found else []


def ways(texts: Sequence[str], dialect: Dialect) -> Iterator[tuple[Decimal, Thousands | None]]:
    """The ways to write numbers in which every text is one, empty cells and MARKERS aside; those
    without groups first. A way with a sign that no number has is left out."""
    marks = dialect.marks | MARKERS
    numbers = dict.fromkeys(text.strip() for text in texts if text.strip().casefold() not in marks)
    used = set().union(*map(set, numbers)) if numbers else set()
    for thousands in (None, *GROUPS):
        if thousands and not used & set(GROUPS[thousands]):
            continue
        for decimal in DECIMALS:
            if decimal == thousands or (decimal == "comma" and "," not in used and not thousands):
                continue
            pattern = _pattern(decimal, thousands)
            if numbers and all(map(pattern.fullmatch, numbers)):
                yield decimal, thousands


def _pattern(decimal: Decimal, thousands: Thousands | None) -> re.Pattern[str]:
    point = re.escape(DECIMALS[decimal])
    whole = r"\d+"
    if thousands:
        whole = rf"(?:\d{{1,3}}(?:[{GROUPS[thousands]}]\d{{3}})+|\d+)"
    number = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
    return re.compile(rf"[+\-\u2212]?{number}", re.ASCII)


def _numbers(
    texts: np.ndarray, empty: np.ndarray, decimal: Decimal, thousands: Thousands | None
) -> np.ndarray:
    """float64 (N,), NaN where a text is empty or not a number."""
    pattern = _pattern(decimal, thousands)
    dropped = dict.fromkeys(map(ord, GROUPS[thousands]), None) if thousands else {}
    table = dropped | {ord(DECIMALS[decimal]): ".", 0x2212: "-"}
    values = np.full(len(texts), np.nan)
    for row in np.flatnonzero(~empty):
        text = texts[row]
        if pattern.fullmatch(text):
            values[row] = float(text.translate(table))
    return values
