"""Any equally spaced series from CSV files: one series per file, named after the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnexp.data.series.raw import RawSeries, read_series, unique_names
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError


class SeriesCsv(SeriesSource):
    """Windows of the series in CSV files.

    root: a CSV file, a folder of CSV files, or a list of these.
    value_column: the column to predict; None: the only column beside `datetime_column`.
    input_columns: extra input columns. unit: unit of the values, part of the names of metrics.
    """

    def __init__(
        self,
        root: str | list[str],
        datetime_column: str,
        value_column: str | None = None,
        input_columns: Sequence[str] = (),
        unit: str = "",
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.root, self.datetime_column = root, datetime_column
        self.value_column, self.input_columns = value_column, list(input_columns)
        self.unit = unit

    @property
    def place(self) -> str | list[str]:
        if isinstance(self.root, str):
            return _absolute(self.root)
        return [_absolute(path) for path in self.root]

    @property
    def columns(self) -> list[str]:
        return [self.value_column or "value", *self.input_columns]

    def read(self) -> list[RawSeries]:
        place = self.place
        return self.read_files(
            [Path(path) for path in ([place] if isinstance(place, str) else place)]
        )

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        return read_series_csv(
            paths,
            datetime_column=self.datetime_column,
            value_column=self.value_column,
            input_columns=self.input_columns,
            datetime_format=self.datetime_format,
        )


def read_series_csv(
    paths: Sequence[Path],
    *,
    datetime_column: str,
    value_column: str | None = None,
    input_columns: Sequence[str] = (),
    datetime_format: str | None = None,
) -> list[RawSeries]:
    """Read files, and the `*.csv` files of folders, in the order given.

    Args:
        value_column: the column to predict; None: the only column beside `datetime_column`.
        input_columns: extra input columns, which are not predicted.

    Raises:
        UserError: there is no file, a file cannot be read, or two series share a name.
    """
    if value_column is None and input_columns:
        raise UserError("data.input_columns needs data.value_column, the column to predict")
    columns = None if value_column is None else [value_column, *input_columns]
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise UserError("data.root is an empty list: give a CSV file or a folder")
    return unique_names(
        [
            read_series(
                file,
                name=file.stem,
                datetime_column=datetime_column,
                columns=columns,
                datetime_format=datetime_format,
            )
            for file in files
        ]
    )


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.csv"))
    if not files:
        raise UserError(f"{path}: the folder has no CSV file")
    return files
