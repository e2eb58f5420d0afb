"""Hourly electric load: a folder of `NAME_hourly.csv` files with the header `Datetime,NAME_MW`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.raw import RawSeries, read_series, unique_names
from rnnexp.data.series.source import SeriesFolder
from rnnexp.errors import UserError

SUFFIX = "_hourly.csv"


class PowerLoad(SeriesFolder):
    """Windows of the series in a folder of `NAME_hourly.csv`, in MW.

    root: the folder; None: `power_load` in $RNNEXP_DATA, or where `rnnexp data fetch` puts it.
    """

    folder = "power_load"
    unit = "MW"

    @property
    def columns(self) -> list[str]:
        return ["load"]

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        return read_load_files(paths, datetime_format=self.datetime_format, clock=self.clock)

    def files_in(self, path: Path) -> list[Path]:
        return load_files(path)


def read_power_load(
    root: Path, *, datetime_format: str | None = None, clock: Clock | None = None
) -> list[RawSeries]:
    """All series of a folder, sorted by file name. Loads are in MW, times are local.

    Raises:
        UserError: the folder or one of its files cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    return read_load_files([root], datetime_format=datetime_format, clock=clock)


def read_load_files(
    paths: Sequence[Path], *, datetime_format: str | None = None, clock: Clock | None = None
) -> list[RawSeries]:
    """Read files, and every NAME_hourly.csv of folders. A series is named after its file, which has
    the column `Datetime` and one other.

    Raises:
        UserError: a file cannot be read, a folder has no file, or two series share a name.
    """
    return unique_names(
        [
            one
            for path in paths
            for file in load_files(path)
            for one in read_series(
                file,
                name=file.name.removesuffix(SUFFIX).removesuffix(".csv"),
                datetime_column="Datetime",
                columns=None,
                datetime_format=datetime_format,
                clock=clock,
            )
        ]
    )


def load_files(path: Path) -> list[Path]:
    """The file itself, or every NAME_hourly.csv of a folder.

    Raises:
        UserError: the folder has no such file.
    """
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(f"?*{SUFFIX}"))
    if not files:
        raise UserError(f"{path}: the folder has no file NAME{SUFFIX}")
    return files
