"""Hourly load and oil temperature of two transformers: ETTh1.csv and ETTh2.csv.

The electricity transformer temperature data of Zhou et al. (Informer, AAAI 2021), CC BY-ND 4.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rnnexp.data.file_names import in_utf8
from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.raw import RawSeries, read_series, unique_names
from rnnexp.data.series.source import SeriesFolder
from rnnexp.errors import UserError

FILES = ("ETTh1.csv", "ETTh2.csv")
COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


class ETT(SeriesFolder):
    """Windows of 14 series, the seven columns of both files. No column is an input of another.

    root: the folder; None: `ett` in $RNNEXP_DATA, or where `rnnexp data fetch` puts it.
    """

    folder = "ett"
    named = "a series is named after its file and column"

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        return read_ett(paths, datetime_format=self.datetime_format, clock=self.clock)

    def files_in(self, path: Path) -> list[Path]:
        return ett_files(path)


def read_ett(
    paths: Sequence[Path], *, datetime_format: str | None = None, clock: Clock | None = None
) -> list[RawSeries]:
    """Seven series for each file, in the order of `COLUMNS`: values (N, 1), without a unit.

    The column OT of ETTh1.csv is the series ETTh1_OT. Times are those of the file.

    Raises:
        UserError: a file cannot be read or lacks a column, or two series share a name.
    """
    return unique_names(
        [
            one
            for path in paths
            for file in ett_files(path)
            for one in _read_file(file, datetime_format, clock)
        ]
    )


def ett_files(path: Path) -> list[Path]:
    """The file itself, or ETTh1.csv and ETTh2.csv of a folder.

    Raises:
        UserError: the folder lacks one of them.
    """
    if not path.is_dir():
        return [path]
    for name in FILES:
        if not (path / name).is_file():
            raise UserError(f"{path}: the folder has no file {name}")
    return [path / name for name in FILES]


def _read_file(path: Path, datetime_format: str | None, clock: Clock | None) -> list[RawSeries]:
    [table] = read_series(
        path,
        name=in_utf8(path.stem, path),
        datetime_column="date",
        columns=COLUMNS,
        datetime_format=datetime_format,
        clock=clock,
    )
    return [
        replace(table, name=f"{table.name}_{column}", values=table.values[:, [i]], alone=False)
        for i, column in enumerate(COLUMNS)
    ]
