"""Which column tells rows of the same time apart, for a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from rnnexp.config.typed import typed
from rnnexp.data.series.reading.table import CsvTable

FEW = 0.01  # the share of rows that may repeat the time of another, as a clock change does


@dataclass(frozen=True)
class Apart:
    """Columns that tell rows of the same time apart: the key to set, and its value."""

    columns: list[str]
    key: str
    value: str | list[str]

    def __str__(self) -> str:
        names = " and ".join(map(repr, self.columns))
        verb = f"column {names} tells" if len(self.columns) == 1 else f"columns {names} tell"
        return f"{verb} them apart: set {typed(self.key, self.value)}"


def what_tells_apart(
    table: CsvTable,
    time: np.ndarray,
    times: Sequence[int],
    values: Sequence[int],
    groups: Sequence[int],
) -> Apart | None:
    """The columns, one or two, that tell rows of the same time apart; None if there are none, or if
    few times are repeated.

    time: of every row, in the order of the file. times, values, groups: the columns in use already,
    `groups` for the names of the series.
    """
    others = [i for i in range(len(table.header)) if i not in {*times, *values, *groups}]
    allowed = FEW * len(time)
    if not others or len(time) - len(np.unique(time)) <= allowed:
        return None
    cells = table.read([*groups, *others]).fillna("").assign(time=time)
    if cells.duplicated(["time", *groups]).sum() <= allowed:
        return None
    distinct = {i: cells[i].nunique() for i in others}
    few = sorted((i for i in others if distinct[i] > 1), key=distinct.__getitem__)
    for chosen in [*((i,) for i in few), *combinations(few, 2)]:
        keys = [*groups, *chosen]
        many = cells.groupby(keys, sort=False).ngroups * 2 > len(time)  # a number of the row
        if many or cells.duplicated(["time", *keys]).sum() > allowed:
            continue
        names, found = [table.header[i] for i in keys], [table.header[i] for i in chosen]
        midnight = (time == time.astype("datetime64[D]")).all()
        if len(names) == len(times) == 1 and midnight and _is_clock(cells[chosen[0]]):
            return Apart(found, "data.datetime_column", [table.header[times[0]], *names])
        return Apart(found, "data.series_column", names[0] if len(names) == 1 else names)
    return None


def _is_clock(cells: pd.Series) -> bool:
    """Hours 0 to 24, or clock times."""
    hours = cells.str.fullmatch(r"(?:\d|1\d|2[0-4])(?:\.0+)?|[0-2]\d00")
    return bool(hours.all() or cells.str.fullmatch(r"\d{1,2}:\d\d(?::\d\d)?").all())
