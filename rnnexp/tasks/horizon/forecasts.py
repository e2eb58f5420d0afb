"""Forecasts over a horizon: all of them for other programs, a table, and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from rnnexp.tables import Column, Table, number
from rnnexp.tasks.answers import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class HorizonForecasts:
    """The next H values of series, in original units: a row for every step of each.

    notes: sentences on how the series were read. unread: the file or series that could not be
    predicted, and why. history: what came before the forecast of each series, by its name: `value`
    by `timestamp`, NaN where it was repaired.
    """

    rows: pd.DataFrame
    unit: str
    notes: list[str]
    unread: dict[str, str] = field(default_factory=dict)
    history: Mapping[str, pd.Series] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        return list(self.unread.values())

    @property
    def inputs(self) -> int:
        """How many series, or files that could not be read, there were."""
        return len(self.history) + len(self.unread)

    def frame(self) -> pd.DataFrame:
        """One row per step: series, issue_time, step, timestamp, prediction, with quantiles q0.1,
        ..., and unit; and if a series failed, a row of it with error."""
        frame = self.rows.assign(unit=self.unit)
        if not self.unread:
            return frame
        lost = pd.DataFrame({"series": list(self.unread), "error": self.failed})
        return pd.concat([frame, lost.assign(unit=self.unit)], ignore_index=True)

    def table(self) -> Table:
        """One row per step: the prediction between its lowest and its highest quantile. `frame` has
        them all."""
        levels = levels_of(self.rows)
        shown = [level for level in levels if level != 0.5 and level in (levels[0], levels[-1])]
        values = ["prediction", *(f"q{level:g}" for level in shown)]
        rows = [
            [name, time, *map(number, numbers)]
            for name, time, numbers in zip(
                map(one_line, self.rows.get("series", [])),
                short_times(self.rows.get("timestamp", [])),
                self.rows.reindex(columns=values).to_numpy(),
                strict=True,
            )
        ]
        ends = [place for place in range(len(rows) - 1) if rows[place][0] != rows[place + 1][0]]
        rows += [[one_line(name), "failed", *("" for _ in values)] for name in self.unread]
        in_units = f"prediction, {self.unit}" if self.unit else "prediction"
        quantiles = [f"{100 * level:g} %" for level in shown]
        columns = [Column("series"), Column("for", wraps=False)]
        columns += [Column(name, numbers=True) for name in (in_units, *quantiles)]
        first = 1 if self.inputs == 1 else 0  # one series is named in the title
        caption = f"{', '.join(quantiles)}: quantiles" if quantiles else ""
        if len(levels) > 3:
            caption += f"; --output FILE.csv writes all {len(levels)}"
        return Table(
            self._title(),
            columns[first:],
            [row[first:] for row in rows],
            caption,
            rules=frozenset(ends),
        )

    def _title(self) -> str:
        """The series, if there is one, and the issue time, or the first and the last."""
        parts = [one_line(name) for name in self.history] if self.inputs == 1 else []
        if len(self.rows):
            issued = self.rows["issue_time"]
            ends = pd.to_datetime(issued, utc=True).argsort().iloc[[0, -1]]
            first, last, *_ = short_times([*issued.iloc[ends], *self.rows["timestamp"]])
            parts.append(f"issued at {first}" if first == last else f"issued {first} to {last}")
        return ", ".join(parts)

    def figure(self) -> Figure:
        """A fan chart of each series, with what came before."""
        from rnnexp.tasks.horizon.figures import fan_charts  # late: a table needs no matplotlib

        return fan_charts(self.rows, self.history, self.unit)


def levels_of(table: pd.DataFrame) -> list[float]:
    """The levels of the quantiles that a table has, ascending."""
    names = [str(name) for name in table]
    return sorted(float(name[1:]) for name in names if name[:1] == "q" and name[1:2].isdigit())


def short_times(times: Iterable[str]) -> list[str]:
    """ISO times as they are read most easily: without seconds if all are whole minutes, and without
    the clock if all are midnight. A UTC offset stays, and then the clock does."""
    parts = [(time[:10], time[11:16], time[16:19], time[19:]) for time in map(str, times)]
    whole = all(seconds == ":00" for _, _, seconds, _ in parts)
    if whole and all(clock == "00:00" and not offset for _, clock, _, offset in parts):
        return [day for day, *_ in parts]
    return [f"{day} {clock}{'' if whole else seconds}{o}" for day, clock, seconds, o in parts]


def short_issue_time(table: pd.DataFrame) -> str:
    """The issue time of the first row of forecasts, as long as the times of the steps are."""
    return short_times([table["issue_time"].iloc[0], *table["timestamp"]])[0]
