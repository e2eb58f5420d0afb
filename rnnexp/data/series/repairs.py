"""What was repaired in the columns beside the target, in sentences."""

from collections.abc import Sequence

import numpy as np

from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.cleaning import Series
from rnnexp.tables import counted


def repaired_columns(
    series: Sequence[Series],
    columns: Sequence[str],
    known: Sequence[str],
    masked: bool,
    clock: Clock,
) -> list[str]:
    """One sentence for each further column with repaired cells: how many, and where it ends before
    its series does.

    columns: all of them, the target first. known: those that are known over the horizon. masked: a
    network is told which cells these are.
    """
    found = []
    for column, name in enumerate(columns[1:], 1):
        lacking = [~one.mask[:, column] for one in series]
        total = sum(int(one.sum()) for one in lacking)
        if not total:
            continue
        cells = f"{counted(total, 'cell')} of {sum(map(len, lacking)):,}"
        said = f"column {name!r}: {cells} {'masked' if masked else 'repaired'}"
        if ended := _first_end(series, column, clock):
            said += f"; {ended}"
            if name in known and not masked:
                said += (
                    ", so forecasts there rest on a repeated value, which is said to be known: "
                    "complete the column, or end the data there with data.until"
                )
        found.append(said)
    return found


def _first_end(series: Sequence[Series], column: int, clock: Clock) -> str:
    """Where a column has no values at the end of a series: the longest such end; else empty."""
    ends = [_steps_without(one.mask[:, column]) for one in series]
    longest = int(np.argmax(ends))
    if not ends[longest]:
        return ""
    one, steps = series[longest], counted(ends[longest], "step")
    others = sum(end > 0 for end in ends) - 1
    more = f" (and of {others:,} more)" if others else ""
    if ends[longest] == len(one.time):
        return f"series {one.name!r}{more} has no value"
    last = clock.show(one.time[-1 - ends[longest]])
    return f"the last value of series {one.name!r}{more} is of {last}, {steps} before its end"


def _steps_without(mask: np.ndarray) -> int:
    """The steps after the last value."""
    return len(mask) - 1 - int(np.flatnonzero(mask).max(initial=-1))
