"""The predictions of a finished run for new data (`rnnexp predict`)."""

from collections.abc import Collection
from typing import Protocol

import pandas as pd

from rnnexp.tables import Table

NAMED = 10  # most names listed in a message
QUOTED = 40  # most characters of a quoted text


class Answers(Protocol):
    """The predictions of a task for new data.

    It may also have `failures`: sentences on what could not be predicted, while the rest was.
    """

    @property
    def notes(self) -> list[str]:
        """Sentences on how the new data were read."""

    def frame(self) -> pd.DataFrame:
        """One row per prediction, for other programs."""

    def table(self) -> Table:
        """One row per prediction, for the console."""


def printable(text: str) -> str:
    """The text with spaces in place of control characters, which could move a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in text)


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
