"""The cells of a CSV file, and where a cell stands, for messages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from rnnexp.config.typed import typed
from rnnexp.data.series.reading.dialect import SEPARATORS, Dialect
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?")
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")


@dataclass(frozen=True)
class CsvTable:
    """The text of a CSV file with a header. Rows count from 0, the first after the header."""

    path: Path
    text: str
    dialect: Dialect

    @cached_property
    def header(self) -> list[str]:
        line, cells = next(rows(self.path, self.text, self.dialect))
        header = [name.strip() for name in cells]
        dates = [name for name in header if DATE.fullmatch(name)]
        if dates and all(name in dates or NUMBER.fullmatch(name) for name in header):
            raise UserError(
                f"{self.path}, line {line}: {', '.join(header)} are data: the first line must hold "
                "the names of the columns, add it"
            )
        return header

    def cell(self, row: int, column: int) -> tuple[str, str]:
        """`FILE, line N` and the text of a cell, for a message."""
        for number, (line, cells) in enumerate(rows(self.path, self.text, self.dialect), start=-1):
            if number == row:
                return f"{self.path}, line {line}", cells[column]
        raise IndexError(row)

    def position(self, name: str) -> int:
        """The index of a column.

        Raises:
            UserError: no column, or more than one, has this name.
        """
        header = self.header
        if header.count(name) > 1:
            raise UserError(
                f"{self.path}: {header.count(name)} columns are called {name!r}; rename them"
            )
        if name not in header:
            other = self.other_separator()
            hint = f": set {other}" if other else did_you_mean(name, header)
            raise UserError(f"{self.path}: there is no column {name!r}{hint}")
        return header.index(name)

    def other_separator(self) -> str | None:
        """The setting of the separator that the header has, if it is not the dialect's."""
        found = separator_of(self.text)
        if found is None or SEPARATORS[found] == self.dialect.delimiter:
            return None
        return typed("data.separator", found)

    def check_width(self) -> None:
        """Refuse rows of another length than the header; pandas would silently fill or cut them.

        Raises:
            UserError: with the line of the first such row.
        """
        width = len(self.header)
        with suppress(csv.Error):  # a fast check first; only a bad file is read again, for its line
            if set(map(len, _reader(self.text, self.dialect))) <= {0, width}:
                return
        for line, row in rows(self.path, self.text, self.dialect):
            if len(row) != width:
                raise UserError(
                    f"{self.path}, line {line}: this row has {len(row)} columns, the header has "
                    f"{width}"
                )

    def read(self, texts: Sequence[int], numbers: Sequence[int] = ()) -> pd.DataFrame:
        """Columns by their index: `texts` as text; `numbers` as float64 if each cell is a number
        with a decimal point, or empty, else as text. NaN: an empty cell.

        Raises:
            UserError: this is not CSV.
        """
        plain = self.dialect.decimal == "point" and self.dialect.thousands is None
        as_text = [*texts, *(() if plain else numbers)]
        try:
            return pd.read_csv(
                _stream(_regular(self.text, self.dialect)),
                sep=self.dialect.delimiter,
                header=0,
                names=list(range(len(self.header))),
                usecols=sorted({*texts, *numbers}),
                dtype=dict.fromkeys(as_text, str),
                index_col=False,
                keep_default_na=False,
                na_values=["", "NA", "NaN", "nan"],
                skipinitialspace=True,
                low_memory=False,
            )
        except pd.errors.ParserError as error:
            raise UserError(f"{self.path}: this is not CSV ({str(error).strip()})") from None


def rows(path: Path, text: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and cells of each row, the header first. Blank lines are skipped.

    Raises:
        UserError: this is not CSV.
    """
    reader = _reader(text, dialect)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: this is not CSV ({error})") from None


def separator_of(text: str) -> str | None:
    """The separator, as a name in SEPARATORS, that splits the first lines into the same number of
    cells, two or more; the one with the most cells. None: there is none."""
    lines = [line for line in text[:20_000].splitlines() if line.strip()][:20]
    lines = lines[:-1] if len(text) > 20_000 and len(lines) > 1 else lines  # perhaps cut
    widths = {}
    for name in SEPARATORS:
        dialect = Dialect(separator=name)
        with suppress(csv.Error):
            found = {len(row) for row in _reader("\n".join(lines), dialect) if row}
            if len(found) == 1 and (width := found.pop()) > 1:
                widths[name] = width
    if len(widths) > 1:
        widths.pop("blanks", None)  # a date and a clock time stand in one cell
    if "comma" in widths and len(widths) > 1 and _decimal_commas(lines):
        widths.pop("comma")
    return max(widths, key=widths.__getitem__, default=None)


def _decimal_commas(lines: Sequence[str]) -> bool:
    """Whether the header has no comma: then commas in the rows belong to numbers."""
    return "," not in lines[0]


def _regular(text: str, dialect: Dialect) -> str:
    """The text with one blank for many, where blanks separate the cells."""
    if dialect.delimiter != " ":
        return text
    return "\n".join(" ".join(line.split()) for line in re.split(r"\r\n|\r|\n", text))


def _reader(text: str, dialect: Dialect) -> csv._reader:  # type: ignore[name-defined]
    return csv.reader(_stream(_regular(text, dialect)), delimiter=dialect.delimiter)


def _stream(text: str) -> io.TextIOWrapper:
    """The text as a file. A StringIO would take four bytes for every character."""
    content = io.BytesIO(text.encode("utf-8", "surrogatepass"))
    return io.TextIOWrapper(content, "utf-8", "surrogatepass", newline="")
