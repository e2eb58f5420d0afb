"""Hourly electric load: a folder of `NAME_hourly.csv` files with the header `Datetime,NAME_MW`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnexp.data.folders import data_folder
from rnnexp.data.forecasting import ForecastingData
from rnnexp.data.series import RawSeries, read_series
from rnnexp.errors import UserError

SUFFIX = "_hourly.csv"


class PowerLoad(ForecastingData):
    """Windows of the series in a folder of `NAME_hourly.csv`, in MW.

    root: the folder; None: `power_load` in $RNNEXP_DATA, or where it was fetched to.
    """

    unit = "MW"

    def __init__(
        self, root: str | None = None, datetime_format: str | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.root, self.datetime_format = root, datetime_format

    @property
    def place(self) -> str:
        return str(data_folder("power_load", self.root).resolve())

    @property
    def columns(self) -> list[str]:
        return ["load"]

    def read(self) -> list[RawSeries]:
        return read_power_load(Path(self.place), datetime_format=self.datetime_format)


def read_power_load(root: Path, *, datetime_format: str | None = None) -> list[RawSeries]:
    """Every series of the folder, by name. Loads are in MW, times are the local clock.

    Raises:
        UserError: where the folder or a file of it cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    paths = sorted(root.glob(f"?*{SUFFIX}"))
    if not paths:
        raise UserError(f"{root}: the folder has no file NAME{SUFFIX}")
    return [
        read_series(
            path,
            name=path.name.removesuffix(SUFFIX),
            datetime_column="Datetime",
            columns=None,
            datetime_format=datetime_format,
        )
        for path in paths
    ]
