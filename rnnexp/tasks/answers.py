"""The predictions of a finished run for new data (`rnnexp predict`)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd
from pandas.api.types import is_float_dtype, is_numeric_dtype

from rnnexp.tables import Column, Table, number

NAMED = 10  # most names listed in a message
QUOTED = 40  # most characters of a quoted text


class Answers(Protocol):
    """The predictions of a task for new data. They may have besides

    failed: list[str]    a sentence for each input without a prediction
    inputs: int          how many there were, if an input can have several rows
    figure() -> Figure   a picture of the predictions, for `--output FILE.png`
    """

    @property
    def notes(self) -> list[str]:
        """Sentences on how the new data were read."""

    def frame(self) -> pd.DataFrame:
        """One row per prediction, for other programs."""

    def table(self) -> Table:
        """One row per prediction, for the console."""


@dataclass
class Rows:
    """Answers that are the rows of a table, for a task that has nothing else to show."""

    rows: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        return self.rows

    def table(self) -> Table:
        columns = [Column(str(name), is_numeric_dtype(self.rows[name])) for name in self.rows]
        cells = [
            [number(x) if is_float_dtype(self.rows[name]) else one_line(str(x)) for x in values]
            for name, values in self.rows.items()
        ]
        return Table("", columns, list(zip(*cells, strict=True)))


def one_line(text: str) -> str:
    """A text for one line of a table, with spaces in place of tabs and newlines."""
    return text.replace("\t", " ").replace("\n", " ")


def cut(text: str, most: int) -> str:
    """The first `most` characters of a text, and three dots if it is longer."""
    return text if len(text) <= most else f"{text[:most]}..."


def quoted(text: str) -> str:
    """A text in quotation marks, cut to QUOTED characters."""
    return repr(cut(text, QUOTED))


def listed(names: Collection[str]) -> str:
    """Names for a message: the first NAMED, quoted, and how many more there are."""
    first, rest = list(names)[:NAMED], len(names) - NAMED
    shown = ", ".join(map(quoted, first))
    return f"{shown} and {rest:,} more" if rest > 0 else shown
