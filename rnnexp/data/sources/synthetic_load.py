"""SYNTHETIC hourly load: a seeded generator, for demonstrations and tests without a download.

The files have the format and the defects of real ones: rows out of time order, a repeated hour in
autumn, a missing hour in spring, a value near zero. The same reader and cleaning process them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.sources.power_load import SUFFIX, load_files, read_load_files, read_power_load
from rnnexp.errors import UserError

FIRST_HOUR = np.datetime64("2015-01-01T01:00:00")
HOUR = np.timedelta64(1, "h")


class SyntheticLoad(SeriesSource):
    """Windows of SYNTHETIC series, in MW, generated again, identically, for every run.

    series_seed: seed of the generator; the run's seed does not change the data. number: of series.
    days: length of each series.
    """

    unit = "MW"

    def __init__(
        self,
        series_seed: int = 0,
        number: int = 3,
        days: int = 730,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        for key, value in {"data.number": number, "data.days": days}.items():
            if value < 1:
                raise UserError(f"{key} is {value}: it must be at least 1")
        self.series_seed, self.number, self.days = series_seed, number, days

    @property
    def place(self) -> str:
        return f"SYNTHETIC, generated with data.series_seed={self.series_seed}"

    @property
    def columns(self) -> list[str]:
        return ["load"]

    def read(self) -> list[RawSeries]:
        with TemporaryDirectory(prefix="rnnexp-synthetic-") as folder:
            write_synthetic_load(Path(folder), self.series_seed, series=self.number, days=self.days)
            return read_power_load(
                Path(folder), datetime_format=self.datetime_format, clock=self.clock
            )

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        return read_load_files(paths, datetime_format=self.datetime_format, clock=self.clock)

    def files_in(self, path: Path) -> list[Path]:
        return load_files(path)


def write_synthetic_load(
    folder: Path, seed: int, *, series: int = 3, days: int = 730
) -> list[Path]:
    """Write `SYNTHETIC1_hourly.csv`, `SYNTHETIC2_hourly.csv`, ... into an existing folder.

    The same seed gives the same bytes. A series does not depend on the number of series.
    """
    paths = []
    for number in range(1, series + 1):
        name = f"SYNTHETIC{number}"
        generator = np.random.default_rng([seed, number])
        standard = FIRST_HOUR + np.arange(days * 24) * HOUR
        local = _clock_time(standard)
        load = _load(standard, local, generator)
        load[generator.integers(len(load) // 4, len(load) // 2)] *= 0.02  # a meter that failed

        order = _file_order(standard)
        times = np.char.replace(np.datetime_as_string(local[order], unit="s"), "T", " ").tolist()
        values = np.rint(load[order]).tolist()
        rows = "".join(f"{time},{value}\n" for time, value in zip(times, values, strict=True))
        path = folder / f"{name}{SUFFIX}"
        path.write_bytes(f"Datetime,{name}_MW\n{rows}".encode())
        paths.append(path)
    return paths


def _clock_time(standard: np.ndarray) -> np.ndarray:
    """Local time with US daylight saving time, which skips an hour on the second Sunday in March
    and repeats one on the first Sunday in November; hence the gaps and duplicates of real files."""
    local = standard.copy()
    for year in np.unique(standard.astype("datetime64[Y]")):
        march, november = year.astype("datetime64[M]") + np.array([2, 10])
        begin = np.busday_offset(march, 1, roll="forward", weekmask="Sun") + 2 * HOUR
        end = np.busday_offset(november, 0, roll="forward", weekmask="Sun") + HOUR
        local[(standard >= begin) & (standard < end)] += HOUR
    return local


def _file_order(standard: np.ndarray) -> np.ndarray:
    """The row order of the real files: years ascending, days of a year descending, hours of a day
    ascending from 01:00 to 24:00."""
    day = (standard - HOUR).astype("datetime64[D]")
    year = day.astype("datetime64[Y]")
    return np.lexsort((standard, -day.astype(np.int64), year))


def _load(standard: np.ndarray, local: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Load in MW (N,): daily and weekly habits x weather x slow noise x white noise of 0.4 %."""
    base = generator.uniform(1500, 12000)
    heating, cooling = generator.uniform(0.006, 0.010), generator.uniform(0.014, 0.022)
    felt = _felt_temperature(standard, generator)
    weather = 1 + heating * np.maximum(14 - felt, 0) + cooling * np.maximum(felt - 19, 0)
    habits = _habits(local, generator)
    mood = 1 + 0.015 * _slow_noise(len(standard), 20, generator)
    return base * habits * weather * mood * (1 + 0.004 * generator.standard_normal(len(standard)))


def _habits(local: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A factor (N,) around 1: mornings are steep on weekdays, later and lower at weekends."""
    day = local.astype("datetime64[D]")
    hour = (local - day) / HOUR
    weekend = (day.astype(np.int64) + 3) % 7 >= 5
    late = generator.uniform(1.0, 2.5)  # delay of weekend mornings, hours
    industry = generator.uniform(0.08, 0.16)

    def hump(centre: np.ndarray | float, width: float) -> np.ndarray:
        away = (hour - centre + 12) % 24 - 12
        return np.exp(-0.5 * (away / width) ** 2)

    morning = np.where(weekend, 0.14, 0.22) * hump(np.where(weekend, 9 + late, 9), 2.5)
    work = np.where(weekend, 0.0, industry) * hump(13, 3.5)
    evening = np.where(weekend, 0.24, 0.26) * hump(19.5, 2.5)
    return 0.78 + morning + work + evening


def _felt_temperature(standard: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Temperature in degrees Celsius (N,), smoothed and delayed like that inside a building."""
    year = (standard - FIRST_HOUR) / np.timedelta64(1, "D") / 365.25
    season = 12 - 13 * np.cos(2 * np.pi * (year - 0.05))
    day = -4 * np.cos(2 * np.pi * (year * 365.25 - 3 / 24))
    outside = season + day + 4.5 * _slow_noise(len(standard), 70, generator)
    lag = 1 / 8  # share of the difference that a building takes up per hour
    return np.array(list(accumulate(outside.tolist(), lambda felt, now: felt + lag * (now - felt))))


def _slow_noise(steps: int, hours: float, generator: np.random.Generator) -> np.ndarray:
    """AR(1) noise (steps,) of unit variance and a correlation time of `hours`."""
    memory = np.exp(-1 / hours)
    shocks = generator.standard_normal(steps) * np.sqrt(1 - memory**2)
    shocks[0] /= np.sqrt(1 - memory**2)
    return np.array(list(accumulate(shocks.tolist(), lambda state, shock: memory * state + shock)))
