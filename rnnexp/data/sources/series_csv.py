"""Any regular series from CSV files: one file a series, named after the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnexp.data.series.raw import RawSeries, read_series, unique_names
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError


class SeriesCsv(SeriesSource):
    """Windows of the series in a CSV file, in the files of a folder, or in a list of these.

    value_column: the column to predict; None: the only one beside `datetime_column`.
    input_columns: further columns that the network reads. unit: of the values, part of the
    metrics' names.
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
    """Read files, and the `*.csv` of folders, in the order given.

    Args:
        value_column: the column to predict; None: the only one beside `datetime_column`.
        input_columns: further columns that the network reads and does not predict.

    Raises:
        UserError: where nothing is found, a file cannot be read, or two files share a name.
    """
    if value_column is None and input_columns:
        raise UserError("data.input_columns needs data.value_column, the column to predict")
    columns = None if value_column is None else [value_column, *input_columns]
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise UserError("data.root names no file")
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
