"""Any equally spaced series from CSV files: one series per file, or many (`series_column`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnexp.data.file_names import in_utf8
from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.raw import RawSeries, read_series, unique_names
from rnnexp.data.series.reading.dialect import Decimal, Dialect, Thousands
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError


class SeriesCsv(SeriesSource):
    """Windows of the series in CSV files.

    root: a CSV file, a folder of CSV files, or a list of these.
    datetime_column: the column with date and time, or two: a date, and an hour or clock time.
    value_column: the column to predict; None: the only column that is left.
    input_columns: extra input columns; those of `known` and `observed` need not be repeated here.
    unit: unit of the values, part of the names of metrics.
    series_column: the column, or columns, whose cells name the series of a row; None: each file
    has one series, which is named after it.
    separator: between the cells: comma, semicolon, tab, pipe, blanks, or the character itself.
    decimal: the decimal sign, point or comma.
    thousands: what groups digits: comma, point, blank, apostrophe; None: nothing does.
    missing: texts of a cell that count as empty, besides NA and NaN.
    encoding: of the files, a Python name; a byte-order mark wins over it.
    """

    def __init__(
        self,
        root: str | list[str],
        datetime_column: str | list[str],
        value_column: str | None = None,
        input_columns: Sequence[str] = (),
        unit: str = "",
        series_column: str | list[str] | None = None,
        separator: str = "comma",
        decimal: Decimal = "point",
        thousands: Thousands | None = None,
        missing: Sequence[str | int | float | None] = (),
        encoding: str = "utf-8",
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        for key in ("known", "observed", "static"):
            if value_column is None and getattr(self, key):
                raise UserError(f"data.{key} needs data.value_column, the column to predict")
        self.root, self.datetime_column = root, datetime_column
        self.value_column, self.input_columns = value_column, list(input_columns)
        self.series_column = series_column
        if series_column is not None:
            self.named = "data.series_column names a series"
        self.dialect = Dialect(separator, decimal, thousands, tuple(missing), encoding)
        self.unit = unit

    @property
    def place(self) -> str | list[str]:
        if isinstance(self.root, str):
            return _absolute(self.root)
        return [_absolute(path) for path in self.root]

    @property
    def columns(self) -> list[str]:
        columns = [self.value_column or "value", *self.input_columns]
        declared = dict.fromkeys([*self.known, *self.observed])
        return [*columns, *(name for name in declared if name not in columns)]

    def read(self) -> list[RawSeries]:
        place = self.place
        return self.read_files(
            [Path(path) for path in ([place] if isinstance(place, str) else place)]
        )

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        return self._read(paths, self.value_column, self.columns[1:], self.static)

    def read_known(self, path: Path) -> list[RawSeries]:
        return self._read([path], self.known[0], self.known[1:], gaps=self.cleaning.masks)

    def _read(
        self,
        paths: Sequence[Path],
        first: str | None,
        further: Sequence[str],
        static: Sequence[str] = (),
        gaps: bool = True,
    ) -> list[RawSeries]:
        return read_series_csv(
            paths,
            datetime_column=self.datetime_column,
            value_column=first,
            input_columns=further,
            datetime_format=self.datetime_format,
            series_column=self.series_column,
            dialect=self.dialect,
            static=static,
            clock=self.clock,
            gaps=gaps,
        )

    def files_in(self, path: Path) -> list[Path]:
        return csv_files(path)


def read_series_csv(
    paths: Sequence[Path],
    *,
    datetime_column: str | Sequence[str],
    value_column: str | None = None,
    input_columns: Sequence[str] = (),
    datetime_format: str | None = None,
    series_column: str | Sequence[str] | None = None,
    dialect: Dialect | None = None,
    static: Sequence[str] = (),
    clock: Clock | None = None,
    gaps: bool = True,
) -> list[RawSeries]:
    """Read files, and the `*.csv` files of folders, in the order given.

    Args:
        datetime_column: one column, or two: a date, and an hour or clock time.
        value_column: the column to predict; None: the only column that is left.
        input_columns: extra input columns, which are not predicted.
        series_column: the columns that name the series of a row; None: one series per file.
        static: columns that are the same in all rows of a series.
        gaps: whether values may be missing, so that a message may offer an empty cell.

    Raises:
        UserError: there is no file, a file cannot be read, or two series share a name.
    """
    if value_column is None and input_columns:
        raise UserError("data.input_columns needs data.value_column, the column to predict")
    columns = None if value_column is None else [value_column, *input_columns]
    files = [file for path in paths for file in csv_files(path)]
    if not files:
        raise UserError("data.root is an empty list: give a CSV file or a folder")
    return unique_names(
        [
            one
            for file in files
            for one in read_series(
                file,
                name=in_utf8(file.stem, file),
                datetime_column=datetime_column,
                columns=columns,
                datetime_format=datetime_format,
                series_column=series_column,
                dialect=dialect,
                static=static,
                clock=clock,
                gaps=gaps,
            )
        ]
    )


def csv_files(path: Path) -> list[Path]:
    """The file itself, or the `*.csv` files of a folder.

    Raises:
        UserError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.csv"))
    if not files:
        raise UserError(f"{path}: the folder has no CSV file")
    return files


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())
