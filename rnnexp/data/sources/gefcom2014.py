"""Hourly electric load and temperature: GEFCom2014-E.csv, with the header `Date,Hour,load,T`.

It is the load track of the Global Energy Forecasting Competition 2014 with its extension (Hong et
al., Probabilistic energy forecasting, International Journal of Forecasting, 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnexp.data.file_names import in_utf8
from rnnexp.data.series.raw import RawSeries, read_series, unique_names
from rnnexp.data.series.source import SeriesFolder
from rnnexp.errors import UserError

FILE = "GEFCom2014-E.csv"
AN_HOUR = np.timedelta64(3600, "s")


class GEFCom2014(SeriesFolder):
    """Windows of the load in MW, with the temperature in degrees Fahrenheit as a further input.

    root: the folder; None: `gefcom2014` in $RNNEXP_DATA, or where `rnnexp data fetch` puts it.
    """

    folder = "gefcom2014"
    unit = "MW"

    @property
    def columns(self) -> list[str]:
        return ["load", "T"]

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        return read_gefcom2014(paths, datetime_format=self.datetime_format)

    def read_known(self, path: Path) -> list[RawSeries]:
        return [_read_file(path, self.datetime_format, self.known)]

    def files_in(self, path: Path) -> list[Path]:
        return gefcom2014_files(path)


def read_gefcom2014(
    paths: Sequence[Path], *, datetime_format: str | None = None
) -> list[RawSeries]:
    """One series for each file, named after it: values (N, 2), load in MW and temperature in F.

    A series begins at the first row with a load: the file has temperatures from 2004 on, and loads
    from 2006 on. A timestamp is the local time at which its hour begins. The file numbers the hours
    of a day from 1 to 24 by their ends: Hour 1 of 1 January is 00:00, and Hour 24 is 23:00 of the
    same day. So every hour has the day of the week and the holidays of its own `Date`.

    Raises:
        UserError: a file cannot be read, has other hours than 1 to 24, or two share a name.
    """
    files = [file for path in paths for file in gefcom2014_files(path)]
    return unique_names([_read_file(file, datetime_format) for file in files])


def gefcom2014_files(path: Path) -> list[Path]:
    """The file itself, or GEFCom2014-E.csv of a folder.

    Raises:
        UserError: the folder does not have it.
    """
    if not path.is_dir():
        return [path]
    if not (path / FILE).is_file():
        raise UserError(f"{path}: the folder has no file {FILE}")
    return [path / FILE]


def _read_file(
    path: Path, datetime_format: str | None, columns: Sequence[str] = ("load", "T")
) -> RawSeries:
    """These columns, from the first row on that has a value of the first of them."""
    [raw] = read_series(
        path,
        name=in_utf8(path.stem, path),
        datetime_column=["Date", "Hour"],
        columns=[*columns, "Hour"],
        datetime_format=datetime_format,
    )
    hour = raw.values[:, -1]
    if (wrong := (hour < 1) | (hour > 24) | (hour % 1 != 0)).any():
        raise UserError(
            f"{path}: Hour {hour[wrong][0]:g} on {raw.time[wrong][0].astype('datetime64[D]')}: the "
            "hours of GEFCom2014 are 1 to 24, each the end of an hour; a file with hours 0 to 23 "
            'can be read with data=series_csv data.datetime_column="[Date,Hour]"'
        )
    known = slice(int((~np.isnan(raw.values[:, 0])).argmax()), None)
    return replace(raw, time=raw.time[known] - AN_HOUR, values=raw.values[known, :-1])
