"""Datetime formats: which are accepted, and which fit the cells of a column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import product

import pandas as pd

from rnnexp.config.typed import typed
from rnnexp.errors import UserError

KEY = "data.datetime_format"
# Whole numbers since 1970-01-01 00:00 UTC, and how many of them make a second.
EPOCHS = {"epoch_seconds": 1, "epoch_milliseconds": 1000}
DIRECTIVES = set("YymbBdjHIMSfpaAz")  # those that are read and used; %Z and others are refused
WEEKDAYS = ("%a", "%A")


def check_format(form: str) -> None:
    """Refuse a format of which a part would be read and not used, or that lacks a part.

    Raises:
        UserError: with the format to use instead, where there is one.
    """
    if form in EPOCHS:
        return
    written = f"{KEY}={form!r}"
    used = re.findall(r"%([^%])", form.replace("%%", ""))
    if not used:
        raise UserError(
            f'{written} must be a strptime format, such as "%d/%m/%Y %H:%M", or one of '
            f"{', '.join(EPOCHS)}"
        )
    for one in used:
        if one not in DIRECTIVES:
            raise UserError(
                f"{written}: %{one} cannot be used here; use {', '.join(sorted(_named()))}"
            )
        if used.count(one) > 1:
            raise UserError(f"{written}: %{one} stands twice; remove one of them")
    for one, other in _idle(set(used)):
        better = form.replace("%H", "%I") if (one, other) == ("p", "H") else None
        offer = f"set {typed(KEY, better)}" if better else f"remove %{one} or %{other}"
        why = "%I is the hour of a 12-hour clock: " if better else ""
        raise UserError(f"{written}: %{one} is not used beside %{other}; {why}{offer}")
    for one, needed in _lacking(set(used)):
        raise UserError(f"{written}: {one} needs {needed} beside it")
    if "z" in used and not form.endswith("%z"):
        raise UserError(f"{written}: %z must stand at the end")


def _named() -> set[str]:
    return {f"%{one}" for one in DIRECTIVES}


def _idle(used: set[str]) -> Iterator[tuple[str, str]]:
    """Pairs of directives of which the first would not be used."""
    alternatives = ["Yy", "mbB", "HI", "aA"]
    pairs = [(b, a) for group in alternatives for a in group for b in group if a < b]
    pairs += [("j", other) for other in "mbBd"]
    # With %I beside both, %p belongs to %I.
    pairs = [("p", "H"), *pairs] if "I" not in used else pairs
    return ((one, other) for one, other in pairs if {one, other} <= used)


def _lacking(used: set[str]) -> Iterator[tuple[str, str]]:
    if not used & set("Yy"):
        yield "a date", "a year (%Y or %y)"
    if "d" in used and not used & set("mbB"):
        yield "%d", "a month (%m, %b or %B)"
    if used & set("HI") and not used & set("dj"):
        yield "an hour", "a day (%d or %j)"
    if "I" in used and "p" not in used:
        yield "%I", "%p (AM or PM); write %H for the hour of a 24-hour clock;"
    if "p" in used and "I" not in used:
        yield "%p", "%I"
    for part, needed in (("M", "HI"), ("S", "M"), ("f", "S"), ("z", "HI")):
        if part in used and not used & set(needed):
            yield f"%{part}", f"%{needed[0]}"


# Formats that are offered ------------------------------------------------------------------------

DATES = [
    *("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%Y/%m/%d"),
    *("%d/%b/%Y", "%d/%b/%y", "%d/%B/%Y", "%Y/%b/%d", "%Y/%d/%m", "%b/%Y", "%B/%Y", "%b/%y"),
    *("%m/%Y", "%Y/%m"),
]
WRITTEN_DATES = ["%b %d, %Y", "%B %d, %Y", "%a %d %b %Y", "%a, %d %b %Y", "%A, %d %B %Y"]
CLOCKS = ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I %p", "%H.%M", "%H"]
CLOCKS += ["%H:%M:%S.%f", "%H%M"]
COMPACT = {
    4: ["%Y"],
    6: ["%Y%m", "%y%m%d"],
    8: ["%Y%m%d"],
    10: ["%Y%m%d%H", "epoch_seconds"],
    12: ["%Y%m%d%H%M"],
    13: ["epoch_milliseconds"],
    14: ["%Y%m%d%H%M%S"],
}
PLAUSIBLE = (1600, 2200)  # years of a compact date
RECENT = (1971, 2030)  # years of an epoch


def offers(cells: Sequence[str]) -> list[str]:
    """The formats that every cell fits; in doubt, several."""
    first = cells[0].strip()
    found = [form for form in _candidates(first) if _fits(first, form)]
    distinct = list(dict.fromkeys(cell.strip() for cell in cells))
    return [form for form in found if all(_fits(cell, form) for cell in distinct)]


def offer(cells: Sequence[str]) -> str:
    """The formats of `offers` as they have to be typed; empty if there are none."""
    return " or ".join(typed(KEY, form) for form in offers(cells))


def _candidates(cell: str) -> Iterator[str]:
    if cell.isdecimal():
        yield from COMPACT.get(len(cell), [])
        return
    signs = [sign for sign in "/-. " if sign in cell]
    dates = [date.replace("/", sign) for sign in signs for date in DATES] + WRITTEN_DATES
    yield from dates
    for date, joint, clock in product(dates, (" ", "T", ", "), CLOCKS):
        yield f"{date}{joint}{clock}"


def _fits(cell: str, form: str) -> bool:
    if form in EPOCHS:
        if not cell.isdecimal():
            return False
        year = pd.Timestamp(int(cell) // EPOCHS[form], unit="s").year
        return RECENT[0] <= year <= RECENT[1]
    try:
        time = datetime.strptime(cell, form)
    except ValueError:
        return False
    # strptime takes one digit for two: 2004-1-1 where the form says %y.
    return PLAUSIBLE[0] <= time.year <= PLAUSIBLE[1]
